"""Ctrl+C ends a command that waits for the database."""

import signal
import subprocess
import sys
from contextlib import closing

import psycopg2
import pytest

from database.migrations import _LOCK
from harness.server import REPOSITORY
from tests.support.administrator import Sql
from tests.support.waiting import until

# It asks for the lock again and again, each time in a transaction of its own.
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND (query LIKE 'SELECT pg_try_advisory_xact_lock%' OR query = 'COMMIT')"
)
# A statement that is over all the same when it is cancelled, as if that had come too late.
STUBBORN = """
DO $$ BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END $$
"""
RUN = """
import sys
import psycopg2
from database.engine import deadlines
with deadlines.interruptible():
    psycopg2.connect(sys.argv[1]).cursor().execute(sys.argv[2])
"""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_command_that_waits_for_a_lock_can_be_interrupted(database_url: str, sql: Sql) -> None:
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        command = subprocess.Popen(
            [sys.executable, "api.py", "migrate", "--grant-to", "nobody"],
            cwd=REPOSITORY,
            env={"PATH": "/usr/bin:/bin", "DATABASE_URL": database_url},
            stderr=subprocess.DEVNULL,
            # A job in the background of a shell ignores it, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            until(lambda: sql(WAITING) != [(0,)])
            command.send_signal(signal.SIGINT)
            assert command.wait(30) != 0
        finally:
            command.kill()
            command.wait()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_interrupt_is_not_forgotten_if_the_statement_is_over_before_it_is_cancelled(
    database_url: str, sql: Sql
) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", RUN, database_url, STUBBORN],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until(lambda: sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=30)
        assert command.returncode != 0
        assert "KeyboardInterrupt" in errors
    finally:
        command.kill()
        command.wait()
