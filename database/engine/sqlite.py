"""What SQLite needs to behave: foreign keys, write-ahead log, and writers that wait their turn."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, String, event

from database.engine import deadlines

_PAUSE_SECONDS = 0.01


def configure(engine: Engine, *, busy_seconds: float, foreign_keys: bool = True) -> None:
    """Set up each new connection of this engine, and how it begins a transaction.

    Migrations switch `foreign_keys` off: SQLite alters a table by dropping and remaking it, and
    the drop would cascade to every row that refers to it.
    """

    def connect(connection: sqlite3.Connection, record: Any) -> None:
        prepare(connection, busy_seconds=busy_seconds, foreign_keys=foreign_keys)

    def create(dialect: Any, record: Any, arguments: Any, options: Any) -> None:
        _create_private(engine.url.database or "")

    event.listen(engine, "do_connect", create)
    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", _begin)


def read_any_text(engine: Engine) -> None:
    """Read columns of text whatever operators have written into them by SQL.

    SQLite stores bytes in a column of any type, and text that is not UTF-8. One such row must not
    fail the requests of other users, so what cannot be decoded is replaced.
    """

    def connect(connection: sqlite3.Connection, record: Any) -> None:
        connection.text_factory = decode

    event.listen(engine, "connect", connect)
    dialect: Any = engine.dialect
    dialect.colspecs = {**dialect.colspecs, String: _AnyText}


class _AnyText(String):
    """The type of all columns of text, those of other types that are stored as text included."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return lambda value: decode(value) if isinstance(value, bytes) else value


def decode(stored: bytes) -> str:
    """Text that may not be UTF-8."""
    return stored.decode(errors="replace")


def prepare(
    connection: sqlite3.Connection, *, busy_seconds: float, foreign_keys: bool = True
) -> None:
    """Make a connection fit for use beside others. Waits `busy_seconds` for a lock."""
    # Left to itself, the module begins transactions late and in the wrong mode.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
    _use_write_ahead_log(connection, busy_seconds)
    # NORMAL would let a power cut undo a revocation that has been acknowledged.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")


def _use_write_ahead_log(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch a new file to the write-ahead log, which it keeps from then on.

    Two connections may do so at the same moment. Each has the read lock then and needs the write
    lock, so SQLite fails at once instead of waiting for `busy_timeout`. It is tried again for
    `busy_seconds`, after which sqlite3.OperationalError is raised.
    """
    end = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # The last byte is the same for all causes of SQLITE_BUSY.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > end:
                raise
        time.sleep(_PAUSE_SECONDS)


def files(path: str) -> Iterator[Path]:
    """The files that SQLite keeps a database in, as far as they exist."""
    for suffix in ("", "-wal", "-shm"):
        file = Path(path + suffix)
        if file.exists():
            yield file


def _create_private(path: str) -> None:
    """Create the file, unless it exists, for its owner only.

    SQLite gives the files next to it the same permissions. It also reports what goes wrong here.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _begin(connection: Connection) -> None:
    if (seconds := deadlines.remaining_seconds()) is not None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    # A deferred transaction that begins to write late fails at once if another has written.
    read_only = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN DEFERRED" if read_only else "BEGIN IMMEDIATE")
