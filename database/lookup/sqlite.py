"""Looks up tokens in SQLite, in one thread, so that a locked file never holds up the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from sqlalchemy.dialects import sqlite as dialect

from database import queries
from database.engine import sqlite
from database.errors import DatabaseUnavailable
from database.queries.credentials import CredentialKind, LiveCredential
from database.settings import DatabaseSettings


class SQLiteLookup:
    """One connection in one thread; tokens that arrive meanwhile make up the next batch."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
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

    def _finish(self, future: asyncio.Future[list[LiveCredential]]) -> None:
        self._busy = False
        self.on_free()

    def _fetch(self, kind: CredentialKind, digests: Sequence[bytes]) -> list[LiveCredential]:
        try:
            connection = self._connection or self._connect()
            rows = connection.execute(_statement(kind, len(digests)), digests)
            return [LiveCredential(*row) for row in rows]
        except sqlite3.Error as error:
            self._disconnect()
            raise DatabaseUnavailable(type(error).__name__) from error

    def _connect(self) -> sqlite3.Connection:
        path = self._settings.url.database or ""
        try:
            # The thread is always the same, but closing happens wherever the service stops.
            self._connection = sqlite3.connect(path, check_same_thread=False)
            sqlite.prepare(self._connection, busy_seconds=self._settings.database_deadline_seconds)
        except sqlite3.Error as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._disconnect()


@lru_cache
def _statement(kind: CredentialKind, count: int) -> str:
    digests = queries.credentials.DIGESTS[kind].in_([b""] * count)
    compiled = queries.credentials.find_live(kind, digests).compile(
        dialect=dialect.dialect(paramstyle="qmark"),
        compile_kwargs={"render_postcompile": True},
    )
    return str(compiled)
