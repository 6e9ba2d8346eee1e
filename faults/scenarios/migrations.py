"""A migration while somebody reads the tables for long."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from sqlalchemy import Connection, text

from database import migrations
from faults import observe
from faults.calls import Answer, Caller
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up
from faults.registry import Outcome, scenario

_TABLES = ("users", "roles", "user_roles", "sessions", "access_tokens", "refresh_tokens")
_SECONDS = 6.0


@scenario("F26", f"tables read for {_SECONDS:.0f} s, as by pg_dump, while a migration alters them")
def migration_beside_a_reader(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url)
    token = sign_up(service).access_token
    migrating = threading.Thread(target=migrations.in_turn, args=(url, _alter))
    checks: list[Answer] = []
    with Caller(service.url) as caller:
        with _reading(url):
            migrating.start()
            began = caller.use(token).began
            while not checks or checks[-1].ended < began + _SECONDS:
                checks.append(caller.use(token))
            login = caller.log_in(EMAIL)
            waited = migrating.is_alive()
        ended = seconds_until(lambda: not migrating.is_alive())
        after = caller.use(token)
    return Outcome(
        held=waited
        and {answer.status for answer in [*checks, login, after]} == {200}
        and observe.slowest(checks) < context.deadline / 2
        and ended < 10,
        figures=f"meanwhile token checks {observe.statuses(checks)}, slowest"
        f" {observe.slowest(checks):.1f} s, a login {login.status};"
        f" migrated {ended:.1f} s after the reader ended",
    )


def _alter(connection: Connection) -> None:
    for table in _TABLES:
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN spare integer"))


@contextmanager
def _reading(url: str) -> Iterator[None]:
    with closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute(f"LOCK TABLE {', '.join(_TABLES)} IN ACCESS SHARE MODE")
        yield
