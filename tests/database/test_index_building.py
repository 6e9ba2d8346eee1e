"""Migrations that alter tables, or build indexes on them, while others use the tables."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import psycopg2
import pytest

from database import index_building, migrations
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.waiting import until

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

build = partial(index_building.build, name="ix_spare", on="sessions (user_agent) WHERE epoch > 0")


@contextmanager
def transaction(url: str, statement: str) -> Iterator[None]:
    """Executes a statement in a transaction that stays open until the block ends."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


@pytest.fixture
def without_spare_index(sql: Sql) -> Iterator[None]:
    yield
    sql("DROP INDEX IF EXISTS ix_spare")


def definition(sql: Sql, database_url: str) -> str:
    statement = "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_spare'"
    if database_url.startswith("sqlite"):
        statement = "SELECT sql FROM sqlite_master WHERE name = 'ix_spare'"
    ((found,),) = sql(statement)
    return str(found)


@pytest.mark.usefixtures("without_spare_index")
def test_an_index_is_built(database_url: str, sql: Sql) -> None:
    migrations.in_turn(database_url, build)
    assert "user_agent" in definition(sql, database_url)


@on_postgresql
@pytest.mark.usefixtures("without_spare_index")
def test_what_an_interrupted_build_has_left_is_built_again(database_url: str, sql: Sql) -> None:
    sql("CREATE INDEX ix_spare ON sessions (created_at)")
    migrations.in_turn(database_url, build)
    assert "user_agent" in definition(sql, database_url)


@on_postgresql
@pytest.mark.usefixtures("without_spare_index")
def test_others_log_in_while_an_index_is_built(client: Client, database_url: str, sql: Sql) -> None:
    client.sign_up()
    building = "SELECT count(*) FROM pg_stat_progress_create_index"
    with ThreadPoolExecutor() as threads:
        with transaction(database_url, "UPDATE sessions SET user_agent = 'pending'"):
            migrating = threads.submit(migrations.in_turn, database_url, build)
            until(lambda: sql(building) == [(1,)])
            # Neither waits for the other: the build ends once all earlier transactions have.
            assert client.try_to_log_in().status_code == 200
            assert not migrating.done()
        migrating.result()
    assert "user_agent" in definition(sql, database_url)


@on_postgresql
def test_no_table_stays_locked_while_a_later_migration_waits(
    database_url: str, sql: Sql, upgrade: Callable[[], None]
) -> None:
    migrations.downgrade(database_url, "0016_refresh_parents")
    version = "SELECT version_num FROM counterfoil_alembic_version"
    with ThreadPoolExecutor() as threads:
        # As VACUUM does, for longer than a migration waits.
        with transaction(database_url, "LOCK TABLE audit_events IN SHARE UPDATE EXCLUSIVE MODE"):
            migrating = threads.submit(upgrade)
            until(lambda: sql(version) == [("0017_confirmed_sessions",)])
            assert not migrating.done()
        migrating.result()


@on_postgresql
def test_a_process_that_waits_for_its_turn_has_no_transaction_open_meanwhile(
    database_url: str, sql: Sql
) -> None:
    """An index that is built concurrently waits for those that were open at one moment."""
    polls = (
        "SELECT state FROM pg_stat_activity"
        " WHERE datname = current_database() AND query IN ('ROLLBACK', 'COMMIT')"
        " AND state = 'idle' AND backend_start > %(began)s AND pid <> pg_backend_pid()"
    )
    ((began,),) = sql("SELECT clock_timestamp()")
    with ThreadPoolExecutor() as threads, migrations.connection(database_url):
        waiting = threads.submit(migrations.in_turn, database_url, lambda _: None)
        until(lambda: sql(polls, {"began": began}))
        assert not waiting.done()


@on_postgresql
@pytest.mark.usefixtures("without_spare_index")
def test_processes_that_wait_for_their_turn_do_not_block_an_index_that_is_built(
    database_url: str, sql: Sql
) -> None:
    with ThreadPoolExecutor() as threads:
        for migrating in [
            threads.submit(migrations.in_turn, database_url, build) for _ in range(4)
        ]:
            migrating.result(timeout=60)
    assert "user_agent" in definition(sql, database_url)
