"""Pruning: which rows are deleted, which are kept, and how the worker runs."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from authentication.instrumentation import Instrumentation
from authentication.pruning import prune as prune_module
from authentication.pruning import worker as worker_module
from authentication.pruning.prune import Retention, count_prunable, prune_all
from authentication.pruning.worker import PruningWorker
from authentication.settings import AuthenticationSettings
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql
from tests.support.client import Client, Tokens
from tests.support.waiting import until

MakeClient = Callable[..., Client]
ALL_TABLES = ("sessions", "access_tokens", "refresh_tokens", "api_keys")


class CountingInstrumentation(Instrumentation):
    """Adds up the rows that were pruned."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def rows_pruned(self, table: str, rows: int) -> None:
        self.rows[table] = self.rows.get(table, 0) + rows


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(DatabaseSettings(database_url=database_url, database_deadline_seconds=1))
    yield opened
    opened.close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    """A client whose logins leave no counters to prune."""
    return make_client(login_throttle=False)


def days_ago(days: float) -> str:
    """A time that both databases can read, in the form that SQLite stores."""
    moment = datetime.now(UTC) - timedelta(days=days)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


@pytest.fixture
def count(sql: Sql) -> Callable[[str], int]:
    return lambda table: int(sql(f"SELECT count(*) FROM {table}")[0][0])


@pytest.fixture
def backdate(sql: Sql, database_url: str) -> Callable[..., None]:
    """Sets a column of every row of a table to a number of days ago."""

    def set_back(table: str, column: str, days: float, where: str = "1 = 1") -> None:
        sql(f"UPDATE {table} SET {column} = '{utc(database_url, days)}' WHERE {where}")

    return set_back


def utc(database_url: str, days: float) -> str:
    return days_ago(days) + ("" if database_url.startswith("sqlite") else "+00")


def prune(database: Database, *, keep_days: int = 7, audit: int | None = None) -> dict[str, int]:
    removed: dict[str, int] = {}
    for rows in prune_all(database, Retention(keep_days, audit)):
        for table, number in rows.items():
            removed[table] = removed.get(table, 0) + number
    return {table: number for table, number in removed.items() if number}


Backdate = Callable[..., None]
Count = Callable[[str], int]


def test_live_sessions_are_kept(client: Client, database: Database) -> None:
    tokens = client.sign_up()
    assert prune(database, keep_days=0) == {}
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_sessions_that_ended_long_ago_are_pruned_with_their_tokens(
    client: Client, database: Database, backdate: Backdate, count: Count, column: str
) -> None:
    client.sign_up()
    backdate("sessions", column, 8)
    client.log_in()
    expected = count_prunable(database, Retention(7))
    assert {table: rows for table, rows in expected.items() if rows} == {
        "sessions": 1,
        "access_tokens": 1,
    }
    assert prune(database) == {"sessions": 1, "access_tokens": 1}
    assert [count(table) for table in ALL_TABLES] == [1, 1, 1, 0]


def test_sessions_that_ended_recently_are_kept(
    client: Client, database: Database, backdate: Backdate, count: Count
) -> None:
    client.sign_up()
    backdate("sessions", "revoked_at", 6)
    assert prune(database) == {}
    assert prune(database, keep_days=5) == {"sessions": 1, "access_tokens": 1}


def test_a_used_refresh_token_is_kept_while_its_reuse_would_reveal_a_theft(
    make_client: MakeClient, database: Database, backdate: Backdate, count: Count
) -> None:
    client = make_client(login_throttle=False, refresh_grace_seconds=0)
    tokens = client.sign_up()
    client.refresh(tokens.refresh_token)
    its_pair = "id = (SELECT access_token_id FROM refresh_tokens WHERE first_used_at IS NOT NULL)"
    backdate("access_tokens", "expires_at", 10, its_pair)
    assert prune(database) == {}
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"
    assert client.sessions(client.log_in())[1:] == []

    backdate("refresh_tokens", "expires_at", 10, "first_used_at IS NOT NULL")
    assert prune(database) == {"access_tokens": 1}


def test_a_session_of_an_old_epoch_is_pruned(
    client: Client, database: Database, backdate: Backdate, sql: Sql
) -> None:
    client.sign_up()
    sql("UPDATE users SET session_epoch = session_epoch + 1")
    assert prune(database) == {}
    backdate("sessions", "last_used_at", 8)
    survivor = client.log_in()
    assert prune(database) == {"sessions": 1, "access_tokens": 1}
    assert client.me(survivor).status_code == 200


def test_a_session_without_tokens_is_pruned(
    client: Client, database: Database, backdate: Backdate, sql: Sql, count: Count
) -> None:
    client.sign_up()
    sql("DELETE FROM access_tokens")
    assert prune(database) == {}
    backdate("sessions", "last_used_at", 8)
    client.log_in()
    assert count_prunable(database, Retention(7))["sessions"] == 1
    assert prune(database) == {"sessions": 1}
    assert count("sessions") == 1


def test_an_idle_session_with_an_unused_refresh_token_is_kept(
    client: Client, database: Database, backdate: Backdate
) -> None:
    tokens = client.sign_up()
    backdate("sessions", "last_used_at", 13)
    backdate("access_tokens", "expires_at", 13)
    assert prune(database) == {}
    assert client.refresh(tokens.refresh_token).status_code == 200


def test_a_live_access_token_is_kept_although_its_refresh_token_has_expired(
    client: Client, database: Database, backdate: Backdate
) -> None:
    tokens = client.sign_up()
    backdate("refresh_tokens", "expires_at", 10)
    assert prune(database) == {}
    assert client.me(tokens).status_code == 200


def test_sessions_that_expired_recently_are_kept(
    client: Client, database: Database, backdate: Backdate
) -> None:
    client.sign_up()
    backdate("sessions", "expires_at", 6)
    assert prune(database) == {}
    assert prune(database, keep_days=5) == {"sessions": 1, "access_tokens": 1}


def test_a_session_that_was_used_lately_is_not_counted_as_prunable(
    client: Client, database: Database, sql: Sql
) -> None:
    client.sign_up()
    sql("UPDATE users SET session_epoch = session_epoch + 1")
    assert count_prunable(database, Retention(7))["sessions"] == 0
    # For as long as a transaction may last, although nothing is kept any longer.
    assert prune(database, keep_days=0) == {}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pruning_skips_what_a_request_has_locked(
    client: Client, database: Database, backdate: Backdate, database_url: str, count: Count
) -> None:
    client.sign_up()
    client.log_in()
    backdate("sessions", "revoked_at", 8)
    with closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute("SELECT id FROM sessions LIMIT 1 FOR UPDATE")
        assert prune(database) == {"sessions": 1, "access_tokens": 1}
    until(lambda: prune(database) == {"sessions": 1, "access_tokens": 1})


def test_expired_and_revoked_api_keys_are_pruned(
    client: Client, database: Database, sql: Sql, database_url: str, count: Count
) -> None:
    client.sign_up()
    for number, (expires, revoked) in enumerate([(8, None), (None, 8), (-8, None), (None, 6)]):
        ends = "NULL" if expires is None else f"'{utc(database_url, expires)}'"
        ended = "NULL" if revoked is None else f"'{utc(database_url, revoked)}'"
        digest = f"{number:064x}"
        value = f"x'{digest}'" if database_url.startswith("sqlite") else f"'\\x{digest}'"
        sql(
            "INSERT INTO api_keys (id, user_id, name, key_digest, hint, expires_at, revoked_at) "
            f"SELECT '00000000-0000-4000-8000-00000000000{number}', id, 'key', {value}, 'hint', "
            f"{ends}, {ended} FROM users"
        )
    assert prune(database) == {"api_keys": 2}
    assert count("api_keys") == 2


def test_audit_events_are_pruned_only_if_configured(
    client: Client, database: Database, backdate: Backdate, count: Count
) -> None:
    client.sign_up()
    backdate("audit_events", "at", 400)
    client.log_in()
    assert prune(database) == {}
    assert prune(database, audit=365) == {"audit_events": 2}
    assert count("audit_events") == 1


def test_batches_are_bounded_however_many_tokens_a_session_has(
    client: Client, database: Database, backdate: Backdate, count: Count
) -> None:
    tokens = client.sign_up()
    for _ in range(6):
        tokens = read(client, tokens)
    backdate("sessions", "revoked_at", 8)
    worker = PruningWorker(AuthenticationSettings(), database)
    worker._batch_rows = 2
    assert max(sum(rows.values()) for rows in worker._prune()) <= 3
    assert [count(table) for table in ALL_TABLES] == [0, 0, 0, 0]


def read(client: Client, tokens: Tokens) -> Tokens:
    body = client.refresh(tokens.refresh_token).json()
    return Tokens(body["access_token"], body["refresh_token"], body["scope"], body["expires_in"])


def test_all_sessions_of_an_old_epoch_in_one_range_are_pruned_in_several_batches(
    client: Client, database: Database, backdate: Backdate, sql: Sql, count: Count
) -> None:
    client.sign_up()
    for _ in range(4):
        client.log_in()
    sql("UPDATE users SET session_epoch = session_epoch + 1")
    backdate("sessions", "last_used_at", 8)
    worker = PruningWorker(AuthenticationSettings(), database)
    worker._batch_rows = 8
    assert [rows.get("sessions") for rows in worker._prune() if any(rows.values())] == [2, 2, 1]
    assert [count(table) for table in ALL_TABLES] == [0, 0, 0, 0]


def test_a_scan_continues_where_another_process_stopped(
    client: Client,
    database: Database,
    backdate: Backdate,
    sql: Sql,
    count: Count,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_SCAN_STEPS_PER_ROUND", 1)
    monkeypatch.setattr(prune_module, "SCAN_ROWS", 2)
    client.sign_up()
    for _ in range(4):
        client.log_in()
    ids = sorted(str(id_) for (id_,) in sql("SELECT id FROM sessions"))
    sql(f"DELETE FROM access_tokens WHERE session_id IN ('{ids[2]}', '{ids[4]}')")
    backdate("sessions", "last_used_at", 8)
    kept = []
    for _ in range(4):
        run_round(database)
        kept.append(count("sessions"))
    assert kept == [5, 4, 3, 3]
    sql(f"DELETE FROM access_tokens WHERE session_id = '{ids[0]}'")
    run_round(database)
    run_round(database)
    assert count("sessions") == 2


def run_round(database: Database) -> None:
    """A round of a process that has just started."""
    PruningWorker(AuthenticationSettings(), database).run_round()


def test_the_service_prunes_by_itself(
    make_client: MakeClient, backdate: Backdate, count: Count
) -> None:
    client = make_client(login_throttle=False, prune_interval_seconds=1, metrics="on")
    client.sign_up()
    backdate("sessions", "revoked_at", 8)
    client.log_in()
    until(lambda: count("sessions") == 1)
    counted = 'counterfoil_pruned_rows_total{table="sessions"} 1.0'
    until(lambda: counted in client.http.get("/metrics").text)


def test_an_interval_of_zero_starts_no_pruning_thread(database: Database) -> None:
    worker = PruningWorker(AuthenticationSettings(prune_interval_seconds=0), database)
    worker.start()
    assert "pruning" not in {thread.name for thread in threading.enumerate()}
    worker.stop()


@contextmanager
def another_that_prunes(database_url: str) -> Iterator[None]:
    """Holds the lock that a process holds while it deletes a batch."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as file:
            file.isolation_level = None
            file.execute("BEGIN IMMEDIATE")
            yield
        return
    with closing(psycopg2.connect(database_url)) as server, server.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x63662D7072756E65])
        yield
        # Closing a connection does not wait until the server has released its locks.
        server.rollback()


def test_while_another_process_prunes_this_one_does_not(
    client: Client, database: Database, backdate: Backdate, count: Count, database_url: str
) -> None:
    client.sign_up()
    backdate("sessions", "revoked_at", 8)
    instrumentation = CountingInstrumentation()
    worker = PruningWorker(AuthenticationSettings(), database, instrumentation)
    with another_that_prunes(database_url):
        worker.run_round()
        assert instrumentation.rows == {}
        assert count("sessions") == 1
    worker.run_round()
    assert instrumentation.rows == {"sessions": 1, "access_tokens": 1}


def test_a_database_that_is_down_does_not_stop_the_worker(
    client: Client, backdate: Backdate, count: Count, database_url: str
) -> None:
    client.sign_up()
    backdate("sessions", "revoked_at", 8)
    away = DatabaseSettings(database_url="postgresql://nobody@127.0.0.1:1/none")
    worker = PruningWorker(AuthenticationSettings(), Database(away))
    rows = worker._batch_rows
    worker.run_round()
    # A batch that has taken longer than the deadline would do so again.
    assert 0 < worker._batch_rows < rows
    worker._database = Database(DatabaseSettings(database_url=database_url))
    worker.run_round()
    assert count("sessions") == 0
    worker._database.close()


def test_stopping_does_not_wait_for_the_interval(database: Database) -> None:
    worker = PruningWorker(AuthenticationSettings(prune_interval_seconds=3600), database)
    worker.start()
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 30
    assert not worker._thread.is_alive()


def test_pruning_under_load_ends_no_live_session(
    client: Client, database: Database, count: Count
) -> None:
    client.register()
    stop = threading.Event()
    pruner = threading.Thread(target=_prune_until, args=(database, stop))
    pruner.start()
    try:
        for _ in range(5):
            tokens = client.log_in()
            for _ in range(5):
                tokens = read(client, tokens)
                assert client.me(tokens).status_code == 200
    finally:
        stop.set()
        pruner.join()
    assert count("live_sessions") == 5


def _prune_until(database: Database, stop: threading.Event) -> None:
    while not stop.is_set():
        prune(database, keep_days=0)


def test_tokens_of_mails_and_mails_are_pruned_once_they_are_of_no_use(
    client: Client, database: Database, sql: Sql, backdate: Backdate, count: Count
) -> None:
    user_id = client.register().json()["id"]
    for days, digest in ((9, "a"), (6, "b")):
        sql(
            "INSERT INTO mail_tokens (kind, token_digest, user_id, address, expires_at) SELECT"
            f" 'verify', hashed, {user_id}, 'ada@example.org', '{days_ago(days)}'"
            f" FROM (SELECT {digest_of(database, digest)} AS hashed) AS made"
        )
        sql(
            "INSERT INTO outbox (kind, user_id, address, locale, created_at)"
            f" VALUES ('verify', {user_id}, 'ada@example.org', 'en', '{days_ago(days + 3)}')"
        )
    counted = count_prunable(database, Retention(7))
    assert (counted["mail_tokens"], counted["outbox"]) == (1, 1)
    assert prune(database) == {"mail_tokens": 1, "outbox": 1}
    assert (count("mail_tokens"), count("outbox")) == (1, 1)


def test_challenges_are_pruned_as_soon_as_they_have_expired(
    database: Database, sql: Sql, count: Count
) -> None:
    for days, letter in ((1, "a"), (-1, "b")):
        sql(
            "INSERT INTO challenges (token_digest, kind, expires_at)"
            f" SELECT {digest_of(database, letter)}, 'mfa', '{days_ago(days)}'"
        )
    assert count_prunable(database, Retention(7))["challenges"] == 1
    assert prune(database) == {"challenges": 1}
    assert count("challenges") == 1


def digest_of(database: Database, letter: str) -> str:
    """32 bytes, as each database writes them."""
    hexadecimal = (letter.encode() * 32).hex()
    is_sqlite = database.engine.dialect.name == "sqlite"
    return f"x'{hexadecimal}'" if is_sqlite else f"'\\x{hexadecimal}'::bytea"
