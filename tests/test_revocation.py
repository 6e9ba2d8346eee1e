"""Revocation by plain SQL, from another connection, holds for the very next request."""

import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx2
import psutil
import pytest

from harness.server import Server
from tests.support.administrator import Sql, run_in_bare_sqlite
from tests.support.client import Client, MakeClient, Tokens

# As the documentation promises them, to the letter.
POSTGRESQL = [
    "DELETE FROM access_tokens WHERE user_id = 42;",
    "DELETE FROM sessions WHERE user_id = 42;",
    "UPDATE sessions SET revoked_at = now() WHERE user_id = 42;",
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = 42;",
    "UPDATE users SET is_active = false WHERE id = 42;",
    "DELETE FROM sessions USING access_tokens t"
    " WHERE t.session_id = sessions.id AND t.token_digest = sha256('cfa_...');",
    "DELETE FROM users WHERE id = 42;",
]
# SQLite has neither now() nor sha256() nor DELETE USING.
SQLITE = [
    "DELETE FROM access_tokens WHERE user_id = 42;",
    "DELETE FROM sessions WHERE user_id = 42;",
    "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = 42;",
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = 42;",
    "UPDATE users SET is_active = false WHERE id = 42;",
    "DELETE FROM sessions WHERE id IN"
    " (SELECT session_id FROM access_tokens WHERE token_digest = x'SHA-256 of cfa_...');",
    "DELETE FROM users WHERE id = 42;",
]


def sign_up_as_number_42(client: Client, sql: Sql, database_url: str) -> Tokens:
    if database_url.startswith("sqlite"):
        sql("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'users'")
    else:
        sql("ALTER SEQUENCE users_id_seq RESTART WITH 42")
    tokens = client.sign_up()
    assert client.me(tokens).json()["id"] == 42
    return tokens


def written_for(statement: str, token: str) -> str:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return statement.replace("SHA-256 of cfa_...", digest).replace("cfa_...", token)


def assert_refused(client: Client, tokens: Tokens) -> None:
    answer = client.me(tokens)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"


def assert_only_42_is_out(client: Client, tokens: Tokens, bystander: Tokens) -> None:
    assert_refused(client, tokens)
    assert client.me(bystander).status_code == 200
    assert client.refresh(bystander.refresh_token).status_code == 200


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", POSTGRESQL)
def test_each_documented_statement_logs_user_42_out_at_once(
    client: Client, sql: Sql, database_url: str, statement: str
) -> None:
    tokens = sign_up_as_number_42(client, sql, database_url)
    bystander = client.sign_up("bystander@example.org")
    sql(written_for(statement, tokens.access_token))
    assert_only_42_is_out(client, tokens, bystander)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", SQLITE)
@pytest.mark.parametrize("foreign_keys", ["on", "off"])
def test_each_statement_in_the_words_of_sqlite_logs_user_42_out_at_once(
    client: Client, sql: Sql, database_url: str, statement: str, foreign_keys: str
) -> None:
    """Also in the sqlite3 shell, which keeps no foreign keys unless it is told to."""
    tokens = sign_up_as_number_42(client, sql, database_url)
    bystander = client.sign_up("bystander@example.org")
    statement = written_for(statement, tokens.access_token)
    if foreign_keys == "on":
        sql(statement)
    else:
        run_in_bare_sqlite(database_url, statement)
    assert_only_42_is_out(client, tokens, bystander)
    # Nobody who comes later inherits what such a shell leaves behind.
    client.sign_up("later@example.org")
    assert_refused(client, tokens)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_digest_of_a_token_is_what_postgresql_computes_itself(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    query = f"SELECT token_digest = sha256('{tokens.access_token}') FROM access_tokens"
    assert sql(query) == [(True,)]


def test_a_user_who_is_enabled_again_by_sql_has_the_sessions_back_until_they_end(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    sql("UPDATE users SET is_active = false")
    assert client.me(tokens).status_code == 401
    sql("UPDATE users SET is_active = true")
    assert client.me(tokens).status_code == 200
    sql("UPDATE users SET session_epoch = session_epoch + 1")
    assert_refused(client, tokens)


def test_a_revocation_on_one_node_holds_on_the_other(make_client: MakeClient) -> None:
    one, other = make_client(), make_client()
    tokens = one.sign_up()
    assert other.me(tokens).status_code == 200
    one.http.post("/logout", headers=tokens.headers)
    assert_refused(other, tokens)


# On each database, so a hundred in all.
ROUNDS = 50
CONNECTIONS = 4


@dataclass
class Hammer:
    """Calls a protected route over and over, with the current token while there is one."""

    token: str | None
    answers: list[tuple[str, float, int]] = field(default_factory=list)
    """The token sent, when its request began, and the status of the answer."""
    stopped: bool = False
    news: threading.Condition = field(default_factory=threading.Condition)

    def strike(self, connection: http.client.HTTPConnection) -> None:
        while token := self._current_token():
            begun = time.monotonic()
            headers = {"Authorization": f"Bearer {token}"}
            connection.request("GET", "/users/me", headers=headers)
            response = connection.getresponse()
            response.read()
            with self.news:
                self.answers.append((token, begun, response.status))
                self.news.notify_all()

    def turn_to(self, token: str | None) -> None:
        with self.news:
            self.token = token
            self.news.notify_all()

    def stop(self) -> None:
        with self.news:
            self.stopped = True
            self.news.notify_all()

    def wait_for(self, token: str, after: float, times: int) -> None:
        """Until so many requests with the token that began after that moment have been answered."""
        seen, count = 0, 0

        def enough() -> bool:
            nonlocal seen, count
            for answer_token, begun, _ in self.answers[seen:]:
                seen += 1
                count += answer_token == token and begun > after
            return count >= times

        with self.news:
            assert self.news.wait_for(enough, timeout=30)

    def _current_token(self) -> str | None:
        """As soon as there is one. None once it is over."""
        with self.news:
            self.news.wait_for(lambda: self.token or self.stopped)
            return None if self.stopped else self.token


def connect_to_each_worker(server: Server, stack: ExitStack) -> list[http.client.HTTPConnection]:
    """So many connections, and more if it takes them until each worker has one."""
    connections: list[http.client.HTTPConnection] = []
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        stack.callback(connection.close)
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        connections.append(connection)
        if len(connections) >= CONNECTIONS and all(map(has_client, server.worker_pids())):
            return connections
    raise AssertionError("One worker takes all connections.")


def has_client(pid: int) -> bool:
    found = psutil.Process(pid).net_connections("tcp4")
    return any(one.status == psutil.CONN_ESTABLISHED and one.laddr.port != 0 for one in found)


@pytest.fixture
def service(database_url: str) -> Iterator[Server]:
    settings = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with Server.launch(database_url, workers=2, environment=settings) as server:
        yield server


def revoke(client: Client, sql: Sql, tokens: Tokens, number: int) -> None:
    """End the session, each time in another of the ways there are; returns once acknowledged."""
    statements = (
        "UPDATE users SET session_epoch = session_epoch + 1",
        "DELETE FROM access_tokens",
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE revoked_at IS NULL",
        "DELETE FROM sessions",
    )
    requests = (("POST", "/logout"), ("DELETE", "/sessions"))
    turn = number % (len(statements) + len(requests))
    if turn < len(statements):
        sql(statements[turn])
    else:
        method, path = requests[turn - len(statements)]
        assert client.http.request(method, path, headers=tokens.headers).status_code < 300


def test_no_request_begun_after_a_revocation_was_acknowledged_is_ever_answered_200(
    service: Server, sql: Sql
) -> None:
    with ExitStack() as stack:
        over_http = httpx2.Client(base_url=service.url, timeout=30)
        client = Client(stack.enter_context(over_http))  # type: ignore[arg-type]
        tokens = client.sign_up()
        hammer = Hammer(tokens.access_token)
        connections = connect_to_each_worker(service, stack)
        threads = [threading.Thread(target=hammer.strike, args=(one,)) for one in connections]
        for thread in threads:
            thread.start()
        acknowledged: dict[str, float] = {}
        try:
            for number in range(ROUNDS):
                hammer.wait_for(tokens.access_token, 0, CONNECTIONS)
                revoke(client, sql, tokens, number)
                acknowledged[tokens.access_token] = time.monotonic()
                hammer.wait_for(tokens.access_token, time.monotonic(), CONNECTIONS)
                # Logging in takes longer than all the rest, on machines that have more to do.
                hammer.turn_to(None)
                tokens = client.log_in()
                hammer.turn_to(tokens.access_token)
        finally:
            hammer.stop()
            for thread in threads:
                thread.join()
    assert len(acknowledged) == ROUNDS
    assert {status for _, _, status in hammer.answers} == {200, 401}
    late = [
        answer
        for answer in hammer.answers
        if answer[2] == 200 and answer[1] > acknowledged.get(answer[0], float("inf"))
    ]
    assert late == []
