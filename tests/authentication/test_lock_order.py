"""Whoever locks a user and their sessions locks the user first, so that no two wait in a circle."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from authentication import policies
from authentication.audit import COMMAND, Reason
from authentication.credentials import sessions
from authentication.settings import AuthenticationSettings
from database import queries
from database.engine import deadlines
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql, give_role
from tests.support.client import Client
from tests.support.waiting import until

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@on_postgresql
def test_ending_all_sessions_waits_for_the_user_before_it_holds_a_session(
    client: Client, database_url: str, sql: Sql
) -> None:
    tokens = client.sign_up()
    with ThreadPoolExecutor(1) as thread, closing(psycopg2.connect(database_url)) as login:
        login.cursor().execute("SELECT id FROM users FOR UPDATE")
        ending = thread.submit(client.http.delete, "/sessions", headers=tokens.headers)
        until(lambda: sql(WAITING))
        # What a login at the limit of sessions does next. Were they held, it would wait for ever.
        sql("SELECT id FROM sessions FOR UPDATE NOWAIT")
        login.rollback()
        assert ending.result().json() == {"ended": 1}


@on_postgresql
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions?keep_current=true"),
        ("DELETE", "/admin/users/1/sessions"),
        ("POST", "/admin/sessions/revoke"),
    ],
)
def test_many_sessions_are_locked_in_the_order_of_their_ids(
    client: Client, database_url: str, sql: Sql, method: str, path: str
) -> None:
    tokens = client.sign_up()
    give_role(sql, "admin")
    for _ in range(7):
        client.log_in()
    [(first,)] = sql("SELECT id FROM sessions ORDER BY id LIMIT 1")
    body = {"ids": ["*"], "include_current": True} if method == "POST" else None
    with ThreadPoolExecutor(1) as thread, closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute(f"SELECT id FROM sessions WHERE id = '{first}' FOR UPDATE")
        request = client.http.request
        ending = thread.submit(request, method, path, json=body, headers=tokens.headers)
        until(lambda: sql(WAITING))
        rest = f"SELECT id FROM sessions WHERE id <> '{first}' FOR UPDATE NOWAIT"
        assert len(sql(rest)) == 7
        other.rollback()
        assert ending.result().status_code == 200


@on_postgresql
def test_so_are_those_that_a_command_revokes(client: Client, database_url: str, sql: Sql) -> None:
    client.register()
    for _ in range(8):
        client.log_in()
    [(first,)] = sql("SELECT id FROM sessions ORDER BY id LIMIT 1")
    database = Database(DatabaseSettings(database_url=database_url))

    def revoke() -> int:
        with database.transaction() as db:
            return sessions.revoke_everywhere(db, origin=COMMAND, reason=Reason.COMMAND)

    with ThreadPoolExecutor(1) as thread, closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute(f"SELECT id FROM sessions WHERE id = '{first}' FOR UPDATE")
        ending = thread.submit(revoke)
        until(lambda: sql(WAITING))
        assert len(sql(f"SELECT id FROM sessions WHERE id <> '{first}' FOR UPDATE NOWAIT")) == 7
        other.rollback()
        assert ending.result() == 8
    database.close()


@on_postgresql
@pytest.mark.parametrize("change", ["session_epoch = session_epoch + 1", "is_active = false"])
def test_a_login_that_waits_for_its_user_begins_no_session_if_they_have_changed(
    client: Client, database_url: str, sql: Sql, change: str
) -> None:
    client.register()
    with ThreadPoolExecutor(1) as thread, closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute(f"UPDATE users SET {change}")
        login = thread.submit(client.try_to_log_in)
        until(lambda: sql(WAITING))
        other.commit()
        assert login.result().status_code == 401
    assert sql("SELECT count(*) FROM sessions") == [(0,)]


@on_postgresql
def test_a_use_is_noted_without_waiting_for_anyone(
    client: Client, database_url: str, sql: Sql
) -> None:
    client.sign_up()
    client.log_in()
    sql("UPDATE sessions SET last_used_at = last_used_at - interval '1 hour'")
    database = Database(DatabaseSettings(database_url=database_url))
    with closing(psycopg2.connect(database_url)) as other:
        cursor = other.cursor()
        cursor.execute("SELECT id FROM sessions LIMIT 1 FOR UPDATE")
        with deadlines.deadline(3), database.transaction() as db:
            ids = [row[0] for row in sql("SELECT id FROM sessions")]
            queries.last_used.touch_sessions(db, ids)
    database.close()
    noted = "SELECT count(*) FROM sessions WHERE last_used_at > now() - interval '1 minute'"
    assert sql(noted) == [(1,)]


def test_without_a_grace_a_transaction_that_began_before_the_first_use_has_none() -> None:
    used = datetime(2026, 11, 21, tzinfo=UTC)
    before = used - timedelta(milliseconds=5)
    strict, lenient = (AuthenticationSettings(refresh_grace_seconds=grace) for grace in (0, 10))
    assert not policies.is_within_grace(strict, before, used)
    assert policies.is_within_grace(lenient, before, used)


def test_one_of_many_refreshes_at_once_wins(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(refresh_grace_seconds=0)
    client.sign_up()
    with ThreadPoolExecutor(12) as threads:
        for _ in range(4):
            secret = client.log_in().refresh_token
            found = list(threads.map(client.refresh, [secret] * 12))
            assert sorted(answer.status_code for answer in found) == [200] + [400] * 11
