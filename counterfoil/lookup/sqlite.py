"""Looks up tokens in SQLite, in one thread, so that a locked file never blocks the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup import rows, statements

# How Python reports text that is not UTF-8.
_UNDECODABLE = "Could not decode to UTF-8"


class SQLiteLookup:
    """One connection in one thread. Tokens that arrive during a lookup are the next batch."""

    def __init__(self, path: str, *, deadline_seconds: float) -> None:
        self._path = path
        self._deadline_seconds = deadline_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lookup")
        self._connection: sqlite3.Connection | None = None
        self._busy = False
        self.on_free: Callable[[], None] = lambda: None

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connect)

    def is_free(self) -> bool:
        return not self._busy

    def is_down(self) -> bool:
        return False

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> asyncio.Future[list[LiveCredential]]:
        self._busy = True
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, self._fetch, kind, digests)
        future.add_done_callback(self._finish)
        return future

    def _finish(self, _done: asyncio.Future[list[LiveCredential]]) -> None:
        self._busy = False
        self.on_free()

    def _fetch(self, kind: CredentialKind, digests: Sequence[bytes]) -> list[LiveCredential]:
        try:
            connection = self._connection or self._connect()
            try:
                return _select(connection, kind, digests)
            except sqlite3.OperationalError as error:
                if not str(error).startswith(_UNDECODABLE):
                    raise
                # Slower for every text, so only from here on. One odd row, written by SQL, must not
                # fail the requests of other users.
                connection.text_factory = partial(str, encoding="utf-8", errors="replace")
                return _select(connection, kind, digests)
        except sqlite3.Error as error:
            self._disconnect()
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        # A URI, because a path would create a missing file.
        address = f"{Path(self._path).absolute().as_uri()}?mode=rw"
        try:
            # The thread is always the same, but closing happens wherever the service stops.
            self._connection = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False
            )
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._deadline_seconds * 1000)}")
            self._connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._disconnect()


def _select(
    connection: sqlite3.Connection, kind: CredentialKind, digests: Sequence[bytes]
) -> list[LiveCredential]:
    found = connection.execute(statements.sqlite(kind, len(digests)), digests)
    return [rows.read(row) for row in found]
