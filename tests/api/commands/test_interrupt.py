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

# It asks for the lock again and again.
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'SELECT pg_try_advisory_xact_lock%'"
)


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
