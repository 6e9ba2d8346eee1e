"""What PostgreSQL needs to behave: durable commits, deadlines on both sides, living connections."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import InvalidatePoolError

from counterfoil.lookup import dns
from counterfoil.lookup.connection import KEEPALIVES
from database.engine import deadlines

# One round trip begins a transaction, makes its commit durable whatever the server's default (an
# acknowledged revocation must survive a crash), lets the server give up what we would give up on,
# and reads the clock that judges expiry.
_BEGIN = text(
    "SELECT set_config('synchronous_commit', 'on', true),"
    " set_config('transaction_read_only', :read_only, true),"
    " set_config('statement_timeout',"
    " coalesce(:statement, current_setting('statement_timeout')), true),"
    " set_config('idle_in_transaction_session_timeout',"
    " coalesce(:idle, current_setting('idle_in_transaction_session_timeout')), true),"
    " now()"
)


def connection_options(url: URL) -> dict[str, Any]:
    """The driver's arguments for an address, before names are resolved."""
    _, given = url.get_dialect()().create_connect_args(url)
    return {**KEEPALIVES, **given}


def configure(engine: Engine, *, patience_seconds: float) -> None:
    """Set up how this engine connects, and how it finds out that a connection has died.

    One that was idle may be dead without a word, and what we say to connect may be lost on its way.
    Each has `patience_seconds` to be answered; that leaves time for another attempt.
    """
    deadlines.install()

    def connect(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        record.info["new"] = True
        given = connection_options(engine.url)
        try:
            options.update(dns.resolve(given, seconds=deadlines.remaining_seconds()))
        except OSError as error:
            raise psycopg2.OperationalError("the name of the host was not resolved") from error
        return _connect(lambda: dialect.connect(*arguments, **options), patience_seconds)

    def check(connection: extensions.connection, record: Any, proxy: Any) -> None:
        if not record.info.pop("new", False):
            with deadlines.shorter_deadline(patience_seconds):
                _ping(connection)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkout", check)


def _connect(attempt: Callable[[], Any], patience_seconds: float) -> Any:
    """Try as often as the deadline allows. Without one, a server may take as long as it likes."""
    if deadlines.remaining_seconds() is None:
        return attempt()
    while True:
        try:
            with deadlines.wait_timeout(patience_seconds):
                return attempt()
        except deadlines.NoAnswer:
            if not deadlines.remaining_seconds():
                raise


def begin(connection: Connection) -> datetime:
    """The first statement of every transaction. Returns the time that counts in it."""
    read_only = connection.get_execution_options().get("read_only")
    limits: dict[str, str | None] = {"statement": None, "idle": None}
    if (seconds := deadlines.remaining_seconds()) is not None:
        # The server gives up a little sooner than we do, because that saves the connection. A
        # transaction that we never end, because we are gone, must not keep its locks for hours.
        limits = {"statement": _milliseconds(0.8 * seconds), "idle": _milliseconds(2 * seconds)}
    parameters = {"read_only": "on" if read_only else "off", **limits}
    *_, moment = connection.execute(_BEGIN, parameters).one()
    now: datetime = moment
    return now


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
