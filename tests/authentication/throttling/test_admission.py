"""An attempt whose password was not looked at counts no more, and a flood shares queries."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from authentication.accounts import password_change
from authentication.audit import Origin
from authentication.credentials.actor import Actor
from authentication.emails import LoginName
from authentication.errors import HashingBusy
from authentication.grants import password as password_grant
from authentication.grants.password import LoginRequest
from authentication.passwords import disconnects
from authentication.passwords.hasher import PasswordHasher
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import counting
from authentication.throttling.known_networks import KnownNetworks
from database import queries
from tests.support.administrator import Sql
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient
from tests.support.waiting import until

ATTEMPTS = "SELECT max(attempts) FROM throttle_counters WHERE user_id IS NOT NULL"
COUNTERS = "SELECT count(*) FROM throttle_counters WHERE user_id IS NOT NULL"


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
    assert sql(COUNTERS) == [(0,)], "what counts nothing leaves no row"


def test_a_login_that_is_cancelled_while_it_is_counted_does_not_count(
    client: Client, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.register()
    service, portal, count = service_of(client), client.http.portal, counting.count
    is_counted, may_commit = threading.Event(), threading.Event()
    assert portal is not None

    def count_slowly(*args: Any, **options: Any) -> Any:
        exceeded = count(*args, **options)
        is_counted.set()
        assert may_commit.wait(30)
        return exceeded

    async def cancel_meanwhile() -> None:
        request = LoginRequest(LoginName.parse("ada@example.org"), "wrong")
        origin = Origin(ip="203.0.113.9")
        login = asyncio.create_task(password_grant.log_in(service, request, origin=origin))
        await asyncio.to_thread(is_counted.wait, 30)
        login.cancel()
        # The cancellation has to arrive before the transaction ends.
        await asyncio.sleep(0)
        may_commit.set()
        with pytest.raises(asyncio.CancelledError):
            await login

    monkeypatch.setattr(counting, "count", count_slowly)
    portal.call(cancel_meanwhile)
    assert sql(COUNTERS) == [(0,)]


class Hurried(PasswordHasher):
    """Lets its client hang up while it computes a hash."""

    def __init__(self) -> None:
        super().__init__(AuthenticationSettings(bcrypt_rounds=4))
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def verify(self, *args: Any, **options: Any) -> tuple[bool, str | None]:
        self.has_begun.set()
        assert self.may_go_on.wait(30)
        return super().verify(*args, **options)


def hang_up_during_the_hash(client: Client, attempt: Callable[[Service], Any]) -> None:
    service, portal, hasher = service_of(client), client.http.portal, Hurried()
    assert portal is not None

    async def try_and_hang_up() -> None:
        gone = asyncio.Event()

        async def disconnect() -> None:
            await gone.wait()

        disconnects.watch(disconnect)
        service.hasher = hasher
        trying = asyncio.create_task(attempt(service))
        await asyncio.to_thread(hasher.has_begun.wait, 30)
        gone.set()
        with pytest.raises(HashingBusy):
            await trying

    portal.call(try_and_hang_up)
    hasher.may_go_on.set()
    portal.call(service.throttle.close)


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("ada@example.org", "wrong", "wrong password"),
        ("nobody@example.org", "wrong", "unknown user"),
        ("ada@example.org", PASSWORD, "client gone"),
    ],
)
def test_a_login_whose_client_hangs_up_during_the_hash_is_recorded(
    client: Client, sql: Sql, name: str, password: str, reason: str
) -> None:
    client.register()
    request = LoginRequest(LoginName.parse(name), password)
    hang_up_during_the_hash(
        client,
        lambda service: password_grant.log_in(service, request, origin=Origin(ip="203.0.113.9")),
    )
    recorded = str(sql("SELECT event, detail FROM audit_events ORDER BY id DESC LIMIT 1"))
    assert "login.failed" in recorded
    assert reason in recorded
    counted = sql("SELECT coalesce(sum(attempts), 0) FROM throttle_counters")
    # For the account twice (in a window, and in a row), for the network, and for registering.
    assert counted == [(0,) if reason == "client gone" else (3,)]
    assert sql("SELECT count(*) FROM sessions") == [(0,)]


@pytest.mark.parametrize(("password", "counted"), [("wrong", 2), (PASSWORD, 0)])
def test_so_is_a_check_of_the_current_password(
    client: Client, sql: Sql, password: str, counted: int
) -> None:
    tokens = client.sign_up()
    portal = client.http.portal
    assert portal is not None
    identity = portal.call(service_of(client).resolver.resolve, tokens.access_token)
    assert identity is not None
    actor = Actor(identity, Origin(), frozenset({"account"}), fresh_seconds=300)
    hang_up_during_the_hash(
        client,
        lambda service: password_change.confirm(service, actor, password),
    )
    events = "SELECT count(*) FROM audit_events WHERE event = 'user.password_refused'"
    assert sql(events) == [(1 if counted else 0,)]
    assert sql("SELECT coalesce(sum(attempts), 0) FROM throttle_counters") == [(counted,)]


def test_attempts_that_are_given_up_before_the_hash_leave_no_rows(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(hashing_deadline_seconds=60)
    service, portal, release = service_of(client), client.http.portal, threading.Event()
    assert portal is not None

    async def give_up(number: int) -> None:
        request = LoginRequest(LoginName.parse(f"made-up{number}@example.org"), "wrong")
        origin = Origin(ip=f"2001:db8:0:{number}::1")
        login = asyncio.create_task(password_grant.log_in(service, request, origin=origin))
        count = "SELECT count(*) FROM throttle_counters"
        await asyncio.to_thread(until, lambda: sql(count) == [(4,)])
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login

    threads = service.settings.hashing_threads
    try:
        for _ in range(threads):
            service.hashing._executor.submit(release.wait)
        for number in range(3):
            portal.call(give_up, number)
    finally:
        release.set()
    assert sql("SELECT count(*) FROM throttle_counters") == [(0,)]


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
