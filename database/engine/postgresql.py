"""What PostgreSQL needs to behave: durable commits, deadlines on both sides, living connections."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL, Connection, Engine, TextClause, event, text
from sqlalchemy.exc import InvalidatePoolError

from counterfoil.errors import DatabaseUnavailable
from counterfoil.lookup import dns, marks, server
from counterfoil.lookup.reigns import Reigns
from database import moments
from database.engine import connecting, deadlines
from database.engine.connection import Connection as DriverConnection
from database.errors import UnsuitableDatabase

# Settings that change what our statements mean, return or cost. A role, a database or the server
# may have other values.
_SETTINGS = {
    **server.LOOKUP_SETTINGS,
    # An unconfirmed commit is reported by a warning only: see database/engine/commits.py.
    "client_min_messages": "warning",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    # Where a table has no statistics yet, PostgreSQL compiles the query for a login, which takes
    # ten times as long as to run it.
    "jit": "off",
    # Raise an error instead of hiding rows where a row-level security policy applies.
    "row_security": "off",
    "TimeZone": "UTC",
    "transform_null_equals": "off",
}
_LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


# The reign's number, and whether the server takes writes yet: always if the parameter is 0. Without
# a reign there is no former primary that could be believed.
_REIGN = f"""
; SELECT (SELECT number FROM reign),
  CASE WHEN :fencing_seconds = 0 THEN true WHEN pg_is_in_recovery() THEN false
    ELSE coalesce((
      SELECT timeline = {marks.TIMELINE} AND coalesce(
        began_at <= clock_timestamp() - make_interval(secs => :fencing_seconds), true)
      FROM reign), true) END,
  pg_is_in_recovery(), now()
"""  # noqa: S608


def _begin(*more: str, then: str = "") -> TextClause:
    """The statements that begin a transaction and return the database's time, in one round trip.

    The isolation level must be set before the first query. The settings are local to the
    transaction, because PgBouncer may give the connection to another client afterwards. `then` is
    a query that depends on them.
    """
    own = {name: f"'{value}'" for name, value in _SETTINGS.items()}
    own["search_path"] = "coalesce(:search_path, current_setting('search_path'))"
    own |= {name: f"coalesce(:{name}, current_setting('{name}'))" for name in _LIMITS}
    settings = [f"set_config('{name}', {value}, true)" for name, value in own.items()]
    columns = ", ".join([*settings, *more, "pg_is_in_recovery()", "now()"])
    return text(f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT {columns}{then}")


_READING = ("set_config('transaction_read_only', 'on', true)",)
_WRITING = (
    "set_config('transaction_read_only', 'off', true)",
    # An acknowledged revocation must survive a crash, whatever the server's default. A stricter
    # default stays.
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
    " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)",
    # Makes the commit wait for the disk and the standby even if nothing else is written: a
    # revocation that is found done already may be the work of a commit that was never confirmed.
    "pg_logical_emit_message(true, 'counterfoil', ''::text)",
)
_BEGIN_READING, _BEGIN_WRITING = _begin(*_READING), _begin(*_WRITING)
_BEGIN_READING_IN_REIGN = _begin(*_READING, then=_REIGN)
_BEGIN_WRITING_IN_REIGN = _begin(*_WRITING, then=_REIGN)

_WAITING_COMMITS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = current_user AND wait_event = 'SyncRep'"
)
_PROPERTIES = text(
    "SELECT current_setting('server_encoding'), current_setting('session_replication_role'),"
    # The schema of temporary tables is last in the path that we set, and always there.
    " coalesce(left(current_schema(), 7) <> 'pg_temp', false), current_setting('search_path')"
)


def connection_options(url: URL) -> dict[str, Any]:
    """The driver's arguments for an address, before names are resolved."""
    _, given = url.get_dialect()().create_connect_args(url)
    return server.connection_options(given)


def configure(
    engine: Engine,
    *,
    patience_seconds: float,
    on_abandoned: Callable[[], None] | None = None,
    reigns: Reigns | None = None,
) -> None:
    """Set up how this engine connects, and how it finds out that a connection has died.

    One that was idle may be dead without a word, and what we say to connect may be lost on its way.
    Each has `patience_seconds` to be answered; that leaves time for another attempt. `on_abandoned`
    is called for each COMMIT that is not answered within the deadline. Hosts of which `reigns`
    knows that they are former primaries are left out.
    """

    def connect(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        record.info["new"] = True
        record.info["reign"] = reigns.newest if reigns is not None else 0
        given = connection_options(engine.url)
        try:
            resolved = dns.resolve(given, seconds=deadlines.remaining_seconds())
        except OSError as error:
            raise psycopg2.OperationalError("the name of the host was not resolved") from error
        if reigns is not None:
            resolved = reigns.without_former(resolved)
        options.update({**connecting.timeout_option(), **server.only_primary(resolved)})
        options["connection_factory"] = DriverConnection
        connection = connecting.connect(
            lambda: dialect.connect(*arguments, **options), patience_seconds=patience_seconds
        )
        connection.on_abandoned = on_abandoned
        moments.install(connection)
        return connection

    def check(connection: extensions.connection, record: Any, proxy: Any) -> None:
        # It may lead to the former primary, also if it is older than all that is known of reigns.
        if reigns is not None and record.info["reign"] < reigns.newest:
            raise InvalidatePoolError
        if not record.info.pop("new", False):
            with deadlines.shorter_deadline(patience_seconds):
                _ping(connection)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkout", check)


def begin(connection: Connection) -> datetime:
    """The first statement of every transaction. Returns the time that counts in it.

    Raises DatabaseUnavailable on a standby, which may lag behind revocations, on a former primary,
    and for writes on one that has been promoted a moment ago.
    """
    options = connection.get_execution_options()
    read_only, reigns = options.get("read_only"), options.get("reigns")
    parameters: dict[str, Any] = {
        "search_path": _search_path(connection.engine.url),
        "statement_timeout": None,
        "idle_in_transaction_session_timeout": None,
    }
    if (seconds := deadlines.remaining_seconds()) is not None:
        # The server gives up a little sooner than we do, because that saves the connection. A
        # transaction that we never end, because we are gone, must not keep its locks for hours.
        parameters["statement_timeout"] = _milliseconds(0.8 * seconds)
        parameters["idle_in_transaction_session_timeout"] = _milliseconds(2 * seconds)
    if reigns is not None:
        parameters["fencing_seconds"] = 0 if read_only else options["fencing_seconds"]
        statement = _BEGIN_READING_IN_REIGN if read_only else _BEGIN_WRITING_IN_REIGN
    else:
        statement = _BEGIN_READING if read_only else _BEGIN_WRITING
    *others, is_standby, moment = connection.execute(statement, parameters).one()
    if is_standby:
        raise DatabaseUnavailable("the server is a standby")
    if reigns is not None:
        _check_reign(connection, reigns, *others)
    now: datetime = moment
    return now


def _check_reign(
    connection: Connection, reigns: Reigns, number: int | None, takes_writes: bool
) -> None:
    try:
        reigns.reject_former(number)
    except DatabaseUnavailable:
        # The next connection may lead to the new primary.
        connection.invalidate()
        raise
    if not takes_writes:
        raise DatabaseUnavailable("the primary was promoted a moment ago, and takes no writes yet")


def count_waiting_commits(connection: Connection) -> int:
    """How many of this role's transactions wait for a synchronous standby."""
    return connection.scalar(_WAITING_COMMITS) or 0


def reject_unsuitable(connection: Connection) -> None:
    """Raises UnsuitableDatabase unless there is a schema, text is UTF-8 and foreign keys hold."""
    encoding, role, has_schema, path = connection.execute(_PROPERTIES).one()
    if encoding != "UTF8":
        raise UnsuitableDatabase(
            f"the encoding of the database is {encoding} and must be UTF8: "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
    if role != "origin":
        raise UnsuitableDatabase(
            f"session_replication_role is {role} and must be origin, to enforce foreign keys"
        )
    if not has_schema:
        name = path.removesuffix(", pg_temp")
        raise UnsuitableDatabase(
            f"there is no schema {name} that this role may use: "
            "CREATE SCHEMA ... AUTHORIZATION for the role that migrates"
        )


@cache
def _search_path(url: URL) -> str | None:
    return server.settings_for(connection_options(url)).get("search_path")


def _milliseconds(seconds: float) -> str:
    # Zero would mean no limit at all.
    return str(max(1, int(1000 * seconds)))


def _ping(connection: extensions.connection) -> None:
    try:
        # Outside of a transaction, or this would begin one before the real first statement does.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.autocommit = False
    except psycopg2.Error as error:
        raise InvalidatePoolError from error
