"""Services of a worker's tests use the same connections to PostgreSQL, one service after another.

Connecting and the first statements of a connection take the server as long as a short test. What
makes and what ends a connection, in the product and in its libraries, is run as ever: only the last
step is replaced.
"""

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2 import extensions
from psycopg2.extras import wait_select
from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from database.engine.connection import Connection

# Of the same options. Few services of tests use more at a time.
_MOST = 2

# By the options, and the number of times that a setting of the server has been changed.
_idle: dict[Hashable, list[Any]] = {}
_changes = 0


def keep(url: URL, role: str) -> None:
    """Keep the connections of services, which have a role of their own. To be called once."""
    address = (role, url.database, str(url.port))
    connect, do_close = psycopg2.connect, PGDialect_psycopg2.do_close

    def connect_dialect(dialect: Any, *arguments: Any, **options: Any) -> Any:
        return _take(address, options, lambda: connect(*arguments, **options))

    def close_dialect(dialect: Any, connection: Any) -> None:
        if not _keep(connection):
            do_close(dialect, connection)  # type: ignore[no-untyped-call]

    def connect_driver(*arguments: Any, **options: Any) -> Any:
        if not options.get("async_"):
            return connect(*arguments, **options)
        options["connection_factory"] = _Asynchronous
        return _take(address, options, lambda: connect(*arguments, **options))

    setattr(PGDialect_psycopg2, "connect", connect_dialect)  # noqa: B010
    setattr(PGDialect_psycopg2, "do_close", close_dialect)  # noqa: B010
    setattr(psycopg2, "connect", connect_driver)  # noqa: B010


def renew() -> None:
    """Keep none of those that there are: a setting has been changed, which holds for new ones."""
    global _changes
    _changes += 1
    close()


def close() -> None:
    """Close those that are kept."""
    for idle in _idle.values():
        while idle:
            _close(idle.pop())


class _Asynchronous(extensions.connection):
    """As token lookups use it."""

    def close(self) -> None:
        if self.isexecuting() or not _keep(self):
            super().close()


def _take(address: tuple[Any, ...], options: dict[str, Any], connect: Callable[[], Any]) -> Any:
    if tuple(str(options.get(name)) for name in ("user", "dbname", "port")) != address:
        return connect()
    given = tuple((name, str(options[name])) for name in options if name != "connect_timeout")
    key = (_changes, given)
    idle = _idle.setdefault(key, [])
    # Another thread may take the last one.
    with suppress(IndexError):
        while not _is_reset(connection := idle.pop()):
            _close(connection)
        return connection
    connection = connect()
    if isinstance(connection, Connection | _Asynchronous):
        setattr(connection, "key", key)  # noqa: B010
    return connection


def _is_reset(connection: Any) -> bool:
    """Whether the connection is as a new one. The server may have closed it."""
    try:
        if not connection.async_:
            connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("DISCARD ALL")
        if connection.async_:
            wait_select(connection)
        else:
            connection.autocommit = False
    except psycopg2.Error:
        return False
    return True


def _keep(connection: Any) -> bool:
    key = getattr(connection, "key", None)
    if key is None or key[0] != _changes:
        return False
    idle = _idle[key]
    is_idle = connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
    if not is_idle or len(idle) >= _MOST:
        return False
    idle.append(connection)
    return True


def _close(connection: Any) -> None:
    connection.key = None
    connection.close()
