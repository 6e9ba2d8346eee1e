"""What holds once holds again: limits in their second window, and caps reached from two sides."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from authentication.throttling.memory import RecentRejections
from tests.support.administrator import Sql, user_id
from tests.support.client import PASSWORD, Client, MakeClient

ADA = "ada@example.org"
BOB = "bob@example.org"
END_WINDOWS = (
    "UPDATE throttle_counters SET ends_at = '2020-01-01 00:00:00+00:00' WHERE ends_at IS NOT NULL"
)
KNOWN = "SELECT address_digest, last_used_at FROM known_addresses WHERE user_id = {0} ORDER BY 1"


@pytest.fixture
def http(make_app: Callable[..., FastAPI]) -> Iterator[TestClient]:
    """A service behind a proxy that it trusts."""
    settings = {"login_attempts_per_account": 3, "login_attempts_per_address": 50}
    app = make_app(trusted_proxies="127.0.0.1", registrations_per_address=4, **settings)
    with TestClient(app, client=("127.0.0.1", 50000)) as http:
        yield http


def log_in(http: TestClient, ip: str, password: str = PASSWORD, email: str = ADA) -> int:
    body = {"email": email, "password": password}
    return http.post("/login", json=body, headers={"X-Forwarded-For": ip}).status_code


def register(http: TestClient, ip: str, email: str = ADA) -> int:
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    return http.post("/register", json=body, headers={"X-Forwarded-For": ip}).status_code


def end_windows(http: TestClient, sql: Sql) -> None:
    sql(END_WINDOWS)
    # What a worker remembers by itself ends after a second.
    http.app.state.service.throttle._rejections = RecentRejections()  # type: ignore[attr-defined]


def test_after_the_window_of_an_account_its_limit_holds_again(http: TestClient, sql: Sql) -> None:
    register(http, "203.0.113.9")
    for window in range(3):
        statuses = [log_in(http, f"198.51.100.{window}{n}", "wrong") for n in range(5)]
        assert statuses == [401, 401, 401, 429, 429], window
        end_windows(http, sql)


def test_after_the_window_of_an_address_its_limit_holds_again(http: TestClient, sql: Sql) -> None:
    for window in range(3):
        statuses = [register(http, "203.0.113.9", f"user{window}{n}@example.org") for n in range(6)]
        assert statuses == [201] * 4 + [429] * 2, window
        end_windows(http, sql)


def test_a_registration_whose_password_is_not_hashed_counts_all_the_same(
    http: TestClient, sql: Sql
) -> None:
    """Or addresses could be tried for being taken while the service is busy."""
    hashing = http.app.state.service.hashing  # type: ignore[attr-defined]
    hashing.deadline_seconds = 0.05
    release = threading.Event()
    try:
        for _ in range(hashing._threads):
            hashing._executor.submit(release.wait)
        assert register(http, "203.0.113.9") == 503
    finally:
        release.set()
    assert sql("SELECT attempts FROM throttle_counters") == [(1,)]


def test_a_user_with_many_networks_leaves_those_of_others_alone(http: TestClient, sql: Sql) -> None:
    for email in (BOB, ADA):
        assert register(http, "203.0.113.9", email) == 201
    assert log_in(http, "203.0.113.10", email=BOB) == 200
    of_bob = KNOWN.format(user_id(sql, BOB))
    before = sql(of_bob)
    assert len(before) == 2
    for n in range(22):
        assert log_in(http, f"192.0.2.{n}") == 200
    assert len(sql(KNOWN.format(user_id(sql, ADA)))) == 20
    assert sql(of_bob) == before


def test_keys_created_at_once_from_two_sessions_do_not_exceed_the_limit(
    make_client: MakeClient,
) -> None:
    client: Client = make_client(max_api_keys_per_user=4)
    client.register()
    sessions = [client.log_in() for _ in range(8)]

    def create(number: int) -> int:
        headers = sessions[number].headers
        return client.http.post("/api-keys", headers=headers, json={"name": "A key"}).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(create, range(8)))
    assert statuses == [201] * 4 + [409] * 4
