"""An attempt whose password was not looked at counts no more, and a flood shares queries."""

import asyncio
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import LoginName
from authentication.grants import password as password_grant
from authentication.grants.password import LoginRequest
from authentication.service import Service
from authentication.throttling.known_networks import KnownNetworks
from database import queries
from tests.support.administrator import Sql
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient
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


async def find_all(known: KnownNetworks) -> list[int | None]:
    names = [f"user{number}@example.org" for number in range(50)]
    return await asyncio.gather(
        *(known.find_user_id(name, "203.0.113.9") for name in ("ada@example.org", *names)),
        known.find_user_id("ada@example.org", "198.51.100.7"),
        known.find_user_id("nul\x00", "203.0.113.9"),
    )


def test_in_a_flood_logins_share_a_query_and_each_gets_its_own_answer(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ask = queries.known_addresses.list_by_names

    def count(db: Session, names: set[str]) -> Any:
        asked.append(len(names))
        return ask(db, names)

    monkeypatch.setattr(queries.known_addresses, "list_by_names", count)
    app = make_app(trusted_proxies="127.0.0.1")
    with TestClient(app, client=("127.0.0.1", 50000)) as http:
        body = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        http.post("/register", json=body, headers={"X-Forwarded-For": "203.0.113.9"})
        known = app.state.service.throttle._known_networks
        assert http.portal is not None
        assert http.portal.call(find_all, known) == [1, *[None] * 52]
    assert asked == [51]
