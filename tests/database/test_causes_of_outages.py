"""The log has the cause of each 503 in the database's words, and readiness tells a full disk."""

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from tests.support.administrator import Sql, run_sql
from tests.support.client import Client, Tokens

MakeClient = Callable[..., Client]

# As PostgreSQL reports it, without filling a disk.
_FILL = """
CREATE FUNCTION fail_as_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON sessions EXECUTE FUNCTION fail_as_full()
"""


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


@pytest.fixture
def tokens(client: Client) -> Tokens:
    return client.sign_up()


@pytest.fixture
def full_disk(client: Client, tokens: Tokens, database_url: str, sql: Sql) -> Iterator[None]:
    """A database that has no room for a session."""
    if database_url.startswith("sqlite"):
        engine = client.http.app.state.service.database.engine  # type: ignore[attr-defined]
        engine.dispose()
        # No page more than there are.
        event.listen(engine, "connect", lambda one, _: one.execute("PRAGMA max_page_count = 1"))
        sql("CREATE TABLE filler (bytes)")
        sql(
            "CREATE TRIGGER no_room BEFORE INSERT ON sessions"
            " BEGIN INSERT INTO filler VALUES (zeroblob(100000)); END"
        )
        yield
        return
    sql(_FILL)
    yield
    sql("DROP TRIGGER no_room ON sessions; DROP FUNCTION fail_as_full()")


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_named_in_the_log_and_by_readiness_while_tokens_are_checked(
    client: Client, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.http.get("/health/ready").status_code == 200
    answer = client.try_to_log_in()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "full" in caplog.text or "No space left on device" in caplog.text
    ready = client.http.get("/health/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "disk_full")
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_disk_of_sqlite_is_full_before_a_write_has_failed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.http.get("/health/ready").status_code == 200
    monkeypatch.setattr(os, "statvfs", _with_free_bytes(1_000_000))
    ready = client.http.get("/health/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "disk_full")
    monkeypatch.setattr(os, "statvfs", _with_free_bytes(1_100_000))
    assert client.http.get("/health/ready").status_code == 200


def _with_free_bytes(free: int) -> Callable[[Any], SimpleNamespace]:
    return lambda _: SimpleNamespace(f_bavail=free, f_frsize=1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_with_too_many_clients_is_named_in_the_log(
    make_client: MakeClient,
    service_url: str,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Both requests try again until their time is up.
    client = make_client(database_deadline_seconds=2.5)
    tokens = client.sign_up()
    role = make_url(service_url).username
    run_sql(database_url, f"ALTER ROLE {role} CONNECTION LIMIT 0")
    try:
        run_sql(
            database_url,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",
        )
        assert client.try_to_log_in().status_code == 503
        assert client.me(tokens).status_code == 503
    finally:
        run_sql(database_url, f"ALTER ROLE {role} CONNECTION LIMIT -1")
    by_logger = {(one.name, "too many connections" in one.getMessage()) for one in caplog.records}
    assert by_logger >= {("counterfoil.errors", True), ("counterfoil.lookup", True)}
