"""Connections that another part of the process makes are not touched by ours."""

import io
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from counterfoil.errors import DatabaseUnavailable
from database.engine import deadlines
from database.engine.session import Database
from database.settings import DatabaseSettings, parse_url

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(DatabaseSettings(database_url=database_url))) as opened:
        yield opened


@on_postgresql
def test_copy_works_beside_our_transactions(database: Database, database_url: str) -> None:
    with deadlines.deadline(10), database.transaction() as db:
        db.execute(text("SELECT 1"))
        with closing(psycopg2.connect(database_url)) as host, host.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE copied (id integer)")
            cursor.copy_expert("COPY copied FROM STDIN", io.StringIO("1\n2\n"))
            cursor.execute("SELECT sum(id) FROM copied")
            assert cursor.fetchall() == [(3,)]


@on_postgresql
def test_only_our_own_connection_is_lost_at_the_deadline(
    database: Database, database_url: str
) -> None:
    with closing(psycopg2.connect(database_url)) as host, host.cursor() as cursor:
        cursor.execute("SELECT 1")
        with pytest.raises(DatabaseUnavailable):
            sleep_for_too_long(database)
        cursor.execute("SELECT 2")
        assert cursor.fetchall() == [(2,)]
    with deadlines.deadline(10), database.transaction() as db:
        assert db.scalar(text("SELECT 1")) == 1


def sleep_for_too_long(database: Database) -> None:
    with deadlines.deadline(0.5), database.transaction() as db:
        db.execute(text("SET LOCAL statement_timeout = 0"))
        db.execute(text("SELECT pg_sleep(30)"))


def test_a_session_of_the_application_is_not_ours(database: Database, database_url: str) -> None:
    """Not even a read-only one: a statement that ours begin with would fail in it."""
    engine = create_engine(parse_url(database_url))
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(postgresql_readonly=True)
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *one: sent.append(one[2]))
    with database.transaction() as db:
        db.execute(text("SELECT 1"))
        for host in (Session(engine), sessionmaker(engine)()):
            with host:
                assert host.scalar(text("SELECT count(*) FROM users")) == 0
    assert sent == ["SELECT count(*) FROM users"] * 2
    engine.dispose()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite+aiosqlite:///shop.db", "sqlite:///shop.db"),
        ("postgresql+asyncpg://host/shop", "postgresql+psycopg2://host/shop"),
    ],
)
def test_an_address_may_name_the_driver_of_the_application(given: str, used: str) -> None:
    assert str(DatabaseSettings(database_url=given).url) == used
