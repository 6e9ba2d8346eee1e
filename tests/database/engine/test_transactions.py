"""How a transaction is set up: durable, bounded on the server as well, read-only for a GET."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.dependencies import SessionDep
from database import clock
from database.engine import deadlines, postgresql
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql
from tests.support.client import Client

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(DatabaseSettings(database_url=database_url))) as opened:
        yield opened


def show(database: Database, *names: str) -> list[int]:
    """Settings of a transaction in milliseconds, which has four seconds."""
    with deadlines.deadline(4.0), database.transaction() as db:
        query = "SELECT setting::integer FROM pg_settings WHERE name = :name"
        return [int(db.scalar(text(query), {"name": name}) or 0) for name in names]


@on_postgresql
def test_the_server_gives_up_before_us_and_ends_what_we_have_left_open(
    database: Database,
) -> None:
    statement, idle = show(database, "statement_timeout", "idle_in_transaction_session_timeout")
    assert 2000 < statement <= 3200
    assert 4000 < idle <= 8000


def test_with_hardly_any_time_left_the_server_still_has_a_limit() -> None:
    # Zero would mean none. To begin takes longer than that, so this cannot be read from a server.
    assert {postgresql._milliseconds(seconds) for seconds in (0.0, 0.0001)} == {"1"}


def test_a_part_of_the_work_has_no_more_time_than_the_rest_of_it() -> None:
    with deadlines.deadline(3.0), deadlines.shorter_deadline(60.0):
        assert (deadlines.remaining_seconds() or 60.0) <= 3.0
    assert deadlines.remaining_seconds() is None


@on_sqlite
def test_on_sqlite_a_commit_waits_for_the_disk(database: Database) -> None:
    with database.transaction() as db:
        # 2 is FULL.
        assert db.scalar(text("PRAGMA synchronous")) == 2
        assert db.scalar(text("PRAGMA journal_mode")) == "wal"


@on_postgresql
def test_a_route_for_get_cannot_write(
    make_app: Callable[..., FastAPI], make_client: Callable[..., Client], sql: Sql
) -> None:
    app = make_app()

    @app.api_route("/write", methods=["GET", "HEAD", "POST"])
    def write(db: SessionDep) -> None:
        db.execute(text("UPDATE users SET name = 'written'"))

    client = make_client(app)
    client.register()
    for method in ("GET", "HEAD"):
        assert client.http.request(method, "/write").status_code == 503
        assert sql("SELECT name FROM users") == [("Ada",)]
    assert client.http.post("/write").status_code == 200
    assert sql("SELECT name FROM users") == [("written",)]


@on_sqlite
def test_a_get_does_not_wait_for_a_writer(client: Client, database_url: str) -> None:
    tokens = client.sign_up()
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as file:
        file.execute("BEGIN IMMEDIATE")
        assert len(client.sessions(tokens)) == 1


def test_all_the_times_of_a_login_are_that_of_its_transaction(client: Client, sql: Sql) -> None:
    client.sign_up()
    # By a clock of ours they would differ at least by microseconds.
    query = """
        SELECT count(*) FROM sessions s JOIN access_tokens a ON a.session_id = s.id
        JOIN refresh_tokens r ON r.access_token_id = a.id
        WHERE s.last_used_at = s.created_at AND s.confirmed_at = s.created_at
        AND a.created_at = s.created_at AND r.created_at = s.created_at
    """
    assert sql(query) == [(1,)]


@on_postgresql
def test_all_that_a_login_sets_is_by_the_clock_of_the_database(client: Client, sql: Sql) -> None:
    client.sign_up()
    settings = client.http.app.state.settings.authentication  # type: ignore[attr-defined]
    # The event has now(), the beginning of the transaction, from the database itself.
    query = f"""
        SELECT count(*) FROM sessions s JOIN access_tokens a ON a.session_id = s.id
        JOIN refresh_tokens r ON r.access_token_id = a.id
        JOIN audit_events e ON e.event = 'login.succeeded' AND e.at = s.created_at
        WHERE s.expires_at = s.created_at + interval '{settings.session_seconds} seconds'
        AND a.expires_at = a.created_at + interval '{settings.access_token_seconds} seconds'
        AND r.expires_at = r.created_at + interval '{settings.refresh_token_seconds} seconds'
    """
    assert sql(query) == [(1,)]


@on_postgresql
def test_the_time_of_a_transaction_is_that_of_the_database(database: Database) -> None:
    async def read() -> Any:
        return await database.run(lambda db: (clock.read(db), db.scalar(text("SELECT now()"))))

    ours, theirs = asyncio.run(read())
    assert ours == theirs
