"""A commit is a success once the standby that it waits for has it, and not a moment before."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import InternalError
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from api.commands.cli import cli
from authentication.audit import COMMAND
from authentication.credentials import sessions
from counterfoil.errors import DatabaseUnavailable
from database import migrations
from database.engine.session import Database
from database.settings import DatabaseSettings
from faults.context import suspended
from harness.postgresql import PostgreSQL
from tests.support.administrator import run_sql
from tests.support.client import Client
from tests.support.console import ConsoleClient, promote
from tests.support.waiting import until

DEADLINE = 1.5
MakeClient = Callable[..., Client]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgreSQL, PostgreSQL]]:
    """A primary, and the standby that each of its commits waits for."""
    with PostgreSQL.launch() as primary:
        migrations.upgrade(primary.create_database("counterfoil"))
        with primary.launch_standby() as standby:
            primary.require_standby()
            yield primary, standby
            # Nothing must wait for a standby that goes first.
            primary.require_no_standby()


@pytest.fixture
def standby(servers: tuple[PostgreSQL, PostgreSQL]) -> PostgreSQL:
    return servers[1]


@pytest.fixture
def database_url(servers: tuple[PostgreSQL, PostgreSQL]) -> Iterator[str]:
    address = servers[0].url("counterfoil")
    yield address
    run_sql(address, "DELETE FROM users; DELETE FROM audit_events")


def waiting_commits(url: str) -> list[int]:
    """The server processes that hold back the answer to a COMMIT."""
    found = run_sql(url, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    return [pid for (pid,) in found]


def run_unconfirmed(url: str, statement: str) -> None:
    """Have in force on the primary what its standby has not got."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = local")
        cursor.execute(statement)


def session_ids(url: str) -> list[UUID]:
    return [UUID(id_) for (id_,) in run_sql(url, "SELECT id FROM sessions ORDER BY created_at")]


# What ends something, with the names of what is known in the test.
REVOCATIONS = [
    ("DELETE", "/sessions/{session}", {}),
    ("DELETE", "/api-keys/{key_id}", {}),
    ("POST", "/revoke", {"data": {"token": "{access_token}"}}),
    ("POST", "/revoke", {"data": {"token": "{refresh_token}"}}),
    ("POST", "/revoke", {"data": {"token": "{key}"}}),
    ("DELETE", "/admin/sessions/{session}", {}),
    ("DELETE", "/admin/api-keys/{key_id}", {}),
    ("POST", "/admin/sessions/revoke", {"json": {"ids": ["{session}"]}}),
    ("PATCH", "/admin/users/{other}", {"json": {"is_active": False}}),
]
NAMES = [f"{method} {path} {options}" for method, path, options in REVOCATIONS]


@pytest.mark.parametrize(("method", "path", "options"), REVOCATIONS, ids=NAMES)
def test_a_revocation_that_finds_nothing_to_do_waits_like_the_first_one(
    make_client: MakeClient,
    database_url: str,
    standby: PostgreSQL,
    method: str,
    path: str,
    options: dict[str, Any],
) -> None:
    client = make_client(database_deadline_seconds=DEADLINE, track_last_used=False)
    tokens = client.sign_up()
    promote(lambda statement: run_sql(database_url, statement), "ada@example.org")
    key = client.create_api_key(tokens)
    (session,) = session_ids(database_url)
    other = client.register("other@example.org").json()["id"]
    headers = client.log_in().headers
    known = {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "session": session,
        "key": key["key"],
        "key_id": key["id"],
        "other": other,
    }

    def revoke() -> int:
        filled = fill(options, known)
        return client.http.request(method, fill(path, known), headers=headers, **filled).status_code

    with suspended(standby):
        run_unconfirmed(
            database_url,
            f"UPDATE sessions SET revoked_at = now() WHERE id = '{session}';"
            f"UPDATE access_tokens SET expires_at = created_at WHERE session_id = '{session}';"
            f"UPDATE users SET is_active = false WHERE id = {other};"
            "UPDATE api_keys SET revoked_at = now()",
        )
        assert client.me(tokens).status_code == 401
        assert revoke() == 503
    until(lambda: revoke() in {200, 204, 404})


def fill(form: Any, known: dict[str, Any]) -> Any:
    """The same with the names in braces replaced, however deep they stand."""
    match form:
        case str():
            return form.format(**known)
        case list():
            return [fill(one, known) for one in form]
        case dict():
            return {name: fill(one, known) for name, one in form.items()}
    return form


def test_a_logout_that_comes_second_waits_like_the_first_one(
    make_client: MakeClient, database_url: str, standby: PostgreSQL
) -> None:
    client = make_client(database_deadline_seconds=DEADLINE)
    tokens = client.sign_up()
    service = client.http.app.state.service  # type: ignore[attr-defined]
    portal = client.http.portal
    assert portal is not None
    identity = portal.call(service.resolver.resolve, tokens.access_token)
    with suspended(standby):
        run_unconfirmed(database_url, "UPDATE sessions SET revoked_at = now()")
        with pytest.raises(DatabaseUnavailable):
            portal.call(
                service.database.run, lambda db: sessions.log_out(db, identity, origin=COMMAND)
            )


def test_a_logout_that_is_sent_again_waits_too(
    make_client: MakeClient, database_url: str, standby: PostgreSQL
) -> None:
    client = make_client(database_deadline_seconds=DEADLINE, track_last_used=False)
    tokens = client.sign_up()

    def log_out() -> int:
        return client.http.post("/logout", headers=tokens.headers).status_code

    with suspended(standby):
        run_unconfirmed(database_url, "UPDATE sessions SET revoked_at = now()")
        assert log_out() == 503
    until(lambda: log_out() == 401)


def test_ending_sessions_in_the_console_again_waits_too(
    make_app: Callable[..., FastAPI], database_url: str, standby: PostgreSQL
) -> None:
    app = make_app(database_deadline_seconds=DEADLINE, track_last_used=False)
    console = ConsoleClient(app)
    with console.http:
        Client(console.http).sign_up("other@example.org")
        (session,) = session_ids(database_url)
        Client(console.http).register()
        promote(lambda statement: run_sql(database_url, statement), "ada@example.org")
        console.sign_in()
        console.open("/sessions")
        with suspended(standby):
            run_unconfirmed(
                database_url, f"UPDATE sessions SET revoked_at = now() WHERE id = '{session}'"
            )
            assert console.submit("/sessions/end", only=str(session)).status_code == 503


def test_a_command_that_finds_nothing_to_do_waits_too(
    database_url: str, standby: PostgreSQL
) -> None:
    database = Database(DatabaseSettings(database_url=database_url))
    with database.transaction() as db:
        db.execute(text("INSERT INTO users (email, name, hashed_password) VALUES ('a', 'a', 'a')"))
    database.close()
    run_sql(
        database_url,
        "INSERT INTO sessions (id, user_id, epoch, expires_at, revoked_at)"
        " SELECT gen_random_uuid(), id, 0, now() + interval '1 day', now() FROM users",
    )
    (session,) = session_ids(database_url)
    command = ["sessions", "revoke", "--id", str(session)]
    with ThreadPoolExecutor() as threads:
        with suspended(standby):
            done = threads.submit(
                CliRunner(env={"DATABASE_URL": database_url}).invoke, cli, command
            )
            until(lambda: waiting_commits(database_url))
            assert not done.done()
        assert "no such live session" in done.result().stderr


def test_a_wait_that_is_cancelled_is_no_success(
    make_client: MakeClient, database_url: str, standby: PostgreSQL
) -> None:
    client = make_client(track_last_used=False, database_deadline_seconds=20)
    tokens = client.sign_up()
    # A role may have its warnings suppressed.
    run_sql(database_url, "ALTER DATABASE counterfoil SET client_min_messages = error")
    client.http.app.state.service.database.engine.dispose()  # type: ignore[attr-defined]
    try:
        with ThreadPoolExecutor() as threads, suspended(standby):
            answer = threads.submit(client.http.post, "/logout", headers=tokens.headers)
            until(lambda: waiting_commits(database_url))
            run_sql(database_url, f"SELECT pg_cancel_backend({waiting_commits(database_url)[0]})")
            assert answer.result().status_code == 503
    finally:
        run_sql(database_url, "ALTER DATABASE counterfoil RESET client_min_messages")


def test_a_commit_that_would_roll_back_is_an_error(database_url: str) -> None:
    def fail_and_go_on(db: Session) -> None:
        driver: Any = db.connection().connection.driver_connection
        with pytest.raises(psycopg2.Error):
            driver.cursor().execute("SELECT 1 / 0")

    with (
        closing(Database(DatabaseSettings(database_url=database_url))) as database,
        pytest.raises(InternalError, match="a statement of the transaction has failed"),
    ):
        asyncio.run(database.run(fail_and_go_on))


def test_commits_that_wait_for_a_standby_never_take_more_than_the_pool(
    make_client: MakeClient, database_url: str, standby: PostgreSQL
) -> None:
    size = 3
    client = make_client(
        database_pool_size=size,
        database_deadline_seconds=DEADLINE,
        track_last_used=False,
        # Its counters would make writes wait for each other, and so keep most of them from COMMIT.
        login_throttle=False,
    )
    tokens = client.sign_up()
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            most[0] = max(most[0], len(waiting_commits(database_url)))

    def register(number: int) -> int:
        return client.register(f"user{number}@example.org").status_code

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with suspended(standby):
            # One at a time up to one less than the limit, and then many at once.
            assert {register(number) for number in range(size - 1)} == {503}
            with ThreadPoolExecutor(2 * size) as threads:
                assert set(threads.map(register, range(size, 10 * size))) == {503}
            assert 0 < len(waiting_commits(database_url)) <= size
            assert client.me(tokens).status_code == 200
            assert client.sessions(tokens)
            assert client.http.get("/health/ready").status_code == 200
        until(lambda: client.register("next@example.org").status_code == 201)
    finally:
        over.set()
        watching.join()
    assert 0 < most[0] <= size


@pytest.mark.parametrize(
    ("server", "ours"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")],
)
def test_a_server_that_waits_for_more_is_not_made_to_wait_for_less(
    database_url: str, standby: PostgreSQL, server: str, ours: str
) -> None:
    run_sql(database_url, f"ALTER DATABASE counterfoil SET synchronous_commit = {server}")
    try:
        with (
            closing(Database(DatabaseSettings(database_url=database_url))) as database,
            database.transaction() as db,
        ):
            assert db.scalar(text("SHOW synchronous_commit")) == ours
    finally:
        run_sql(database_url, "ALTER DATABASE counterfoil RESET synchronous_commit")
