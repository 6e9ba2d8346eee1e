"""How many SQL statements a login, a refresh and a registration cost: each is a round trip."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import event

from tests.support.administrator import Sql
from tests.support.client import PASSWORD

LOGIN = REGISTRATION = 10
# Two of them are shared by all refresh tokens that arrive at once.
REFRESH = 11

HOME = "203.0.113.9"
ELSEWHERE = "198.51.100.7"
ADA = "ada@example.org"


class Counted:
    """Requests to a service, and the statements that the last of them cost.

    The first statement of a transaction, which sets it up and reads the clock, is one of them. What
    begins it is not, nor what only sets a property of the connection.
    """

    def __init__(self, http: TestClient) -> None:
        self._http = http
        self.statements: list[str] = []
        engine = http.app.state.service.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            self.statements.append(statement)

    def post(self, path: str, *, ip: str = HOME, **content: Any) -> Response:
        self.statements.clear()
        return self._http.post(path, headers={"X-Forwarded-For": ip}, **content)

    def log_in(self, *, ip: str = HOME, password: str = PASSWORD, name: str = ADA) -> Response:
        return self.post("/login", json={"username": name, "password": password}, ip=ip)

    def register(self, email: str = ADA) -> Response:
        return self.post("/register", json={"email": email, "password": PASSWORD, "name": "Ada"})


@pytest.fixture
def counted(make_app: Callable[..., FastAPI]) -> Iterator[Counted]:
    app = make_app(trusted_proxies="127.0.0.1", login_attempts_per_address=1000)
    with TestClient(app, client=("127.0.0.1", 50000), raise_server_exceptions=False) as http:
        yield Counted(http)


def test_a_registration_is_few_statements(counted: Counted) -> None:
    assert counted.register().status_code == 201
    assert 0 < len(counted.statements) <= REGISTRATION


@pytest.mark.parametrize("ip", [HOME, ELSEWHERE])
def test_a_login_is_few_statements_from_a_known_network_and_from_a_new_one(
    counted: Counted, ip: str
) -> None:
    counted.register()
    assert counted.log_in(ip=ip).status_code == 200
    assert 0 < len(counted.statements) <= LOGIN


def test_so_is_one_that_evicts_a_session(make_app: Callable[..., FastAPI], sql: Sql) -> None:
    app = make_app(trusted_proxies="127.0.0.1", max_sessions_per_user=2)
    with TestClient(app, client=("127.0.0.1", 50000)) as http:
        counted = Counted(http)
        counted.register()
        for number in range(5):
            assert counted.log_in().status_code == 200, number
            assert 0 < len(counted.statements) <= LOGIN
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(2,)]
    evicted = "SELECT count(*) FROM audit_events WHERE event = 'session.revoked'"
    assert sql(evicted) == [(3,)]


def test_so_it_is_from_one_network_more_than_are_remembered(counted: Counted, sql: Sql) -> None:
    counted.register()
    for number in range(21):
        assert counted.log_in(ip=f"192.0.2.{number}").status_code == 200
        assert len(counted.statements) <= LOGIN
    assert sql("SELECT count(*) FROM known_addresses") == [(20,)]


@pytest.mark.parametrize("scope", ["", "account"])
def test_a_refresh_is_few_statements(counted: Counted, scope: str) -> None:
    counted.register()
    refresh_token = counted.log_in().json()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": scope}
    assert counted.post("/token", data=form).status_code == 200
    assert 0 < len(counted.statements) <= REFRESH


def test_failed_logins_ask_the_database_the_same_whoever_it_is(counted: Counted, sql: Sql) -> None:
    counted.register()
    counted.register("off@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'off@example.org'")
    asked = []
    for name, password in ((ADA, "wrong"), ("off@example.org", PASSWORD), ("nobody", "wrong")):
        assert counted.log_in(name=name, password=password, ip=ELSEWHERE).status_code == 401
        asked.append(list(counted.statements))
    by_email, of_disabled, by_username = asked
    assert by_email == of_disabled
    assert len(by_email) == len(by_username)
