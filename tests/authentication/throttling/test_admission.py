"""An attempt whose password was not looked at counts no more, and a flood is looked up in line."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import LoginName
from authentication.grants import password as password_grant
from authentication.grants.password import LoginRequest
from authentication.service import Service
from authentication.throttling import admission
from tests.support.administrator import Sql
from tests.support.client import Client, MakeClient
from tests.support.waiting import until

ATTEMPTS = "SELECT max(attempts) FROM throttle_counters WHERE user_id IS NOT NULL"


def service_of(client: Client) -> Service:
    found: Service = client.http.app.state.service  # type: ignore[attr-defined]
    return found


async def log_in_and_cancel(service: Service, sql: Sql) -> None:
    """The thread that is to hash does not come."""
    request = LoginRequest(LoginName.parse("ada@example.org"), "wrong")
    login = asyncio.create_task(
        password_grant.log_in(service, request, origin=Origin(ip="203.0.113.9"))
    )
    await asyncio.to_thread(until, lambda: sql(ATTEMPTS) == [(1,)])
    login.cancel()
    with pytest.raises(asyncio.CancelledError):
        await login


def test_a_login_that_is_cancelled_while_it_waits_does_not_count(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(hashing_threads=1)
    client.register()
    service, release, portal = service_of(client), threading.Event(), client.http.portal
    assert portal is not None
    try:
        service.hashing._executor.submit(release.wait)
        portal.call(log_in_and_cancel, service, sql)
    finally:
        release.set()
    assert sql(ATTEMPTS) == [(0,)]


def test_in_a_flood_logins_are_looked_up_one_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.register()
    hashing, under_way, most = service_of(client).hashing, threading.Lock(), []

    def look_up(_db: Session, _name: LoginName, _network: str | None) -> None:
        most.append(under_way.acquire(blocking=False))
        time.sleep(0.02)
        under_way.release()

    monkeypatch.setattr(admission, "_find_trusted_user", look_up)
    with ExitStack() as taken, ThreadPoolExecutor(5) as threads:
        while not hashing.is_full():
            taken.enter_context(hashing.reserve())
        answers = list(threads.map(lambda _: client.try_to_log_in(), range(5)))
    assert [answer.status_code for answer in answers] == [503] * 5
    assert most == [True] * 5
