"""A migration that has to wait for a table lets everyone else use it meanwhile."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2.extensions import connection as Reader
from sqlalchemy import Connection, text

from database import migrations
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

TABLES = "users, roles, user_roles, sessions, access_tokens, refresh_tokens"
COLUMN = (
    "SELECT 1 FROM information_schema.columns"
    " WHERE table_name = 'access_tokens' AND column_name = 'spare'"
)


def add_columns(connection: Connection) -> None:
    """As a migration does."""
    for table in TABLES.split(", "):
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN spare integer"))


@contextmanager
def reading(url: str) -> Iterator[Reader]:
    """Somebody reads the tables for long, as pg_dump does."""
    with closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute(f"LOCK TABLE {TABLES} IN ACCESS SHARE MODE")
        yield connection


@pytest.fixture(autouse=True)
def without_spare_columns(sql: Sql) -> Iterator[None]:
    yield
    for table in TABLES.split(", "):
        sql(f"ALTER TABLE {table} DROP COLUMN IF EXISTS spare")


def test_tokens_are_checked_while_a_migration_waits_for_a_reader(
    make_client: Callable[..., Client],
    database_url: str,
    sql: Sql,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = make_client(database_deadline_seconds=2, prune_interval_seconds=0)
    tokens = client.sign_up()
    caplog.clear()
    with ThreadPoolExecutor() as threads, reading(database_url) as reader:
        migrating = threads.submit(migrations.in_turn, database_url, add_columns)

        def waits_while_tokens_are_checked() -> bool:
            assert client.me(tokens).status_code == 200
            return bool(caplog.messages)

        until(waits_while_tokens_are_checked)
        assert not migrating.done()
        assert caplog.messages[0] == "a table is in use; trying again in 2 s"
        # What it holds while it pauses would be in the way of others.
        assert client.try_to_log_in().status_code == 200
        reader.rollback()
        migrating.result()
    assert sql(COLUMN) == [(1,)]
    assert client.me(tokens).status_code == 200


def test_a_migration_waits_for_another_for_as_long_as_it_takes(database_url: str, sql: Sql) -> None:
    with ThreadPoolExecutor() as threads:
        with migrations.connection(database_url) as first:
            second = threads.submit(migrations.in_turn, database_url, add_columns)
            # Longer than any table is waited for.
            first.execute(text("SELECT pg_sleep(1)"))
            assert not second.done()
            assert sql(COLUMN) == []
        second.result()
    assert sql(COLUMN) == [(1,)]
