"""Looks up tokens in PostgreSQL by psycopg2's asynchronous mode, driven by the event loop.

A server that hangs or disappears blocks neither the event loop nor a thread: each query has a
deadline in this process, after which its connection is closed and replaced.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup.connection import LookupConnection

log = logging.getLogger("counterfoil.lookup")

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5

C = TypeVar("C", bound=LookupConnection)


class ConnectionPool(ABC, Generic[C]):
    """A few connections to one server. Those that are lost are replaced in the background.

    `options` are libpq's. `prepared_statements` is False behind PgBouncer in transaction mode.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        deadline_seconds: float,
        connections: int = 2,
        prepared_statements: bool = True,
    ) -> None:
        self._options = options
        self._deadline_seconds = deadline_seconds
        self._connections = connections
        self._prepared_statements = prepared_statements
        self._free: list[C] = []
        self._open: set[C] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._down_since: float | None = None
        self._logged_cause = ""
        self._closed = False
        self.on_free: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Connect. If the server cannot be reached, this is retried in the background."""
        for _ in range(self._connections):
            self._begin_to_connect()
        await asyncio.wait(self._opening, timeout=self._deadline_seconds)

    def is_free(self) -> bool:
        return bool(self._free)

    def is_down(self) -> bool:
        if self._down_since is None:
            return False
        elapsed = asyncio.get_running_loop().time() - self._down_since
        return elapsed > self._deadline_seconds

    def take(self) -> C:
        """A free connection, to be released after its answer."""
        return self._free.pop()

    def release(self, connection: C) -> None:
        """Give a connection back, even one that has been lost."""
        if connection in self._open:
            self._free.append(connection)
            self.on_free()

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> asyncio.Future[list[LiveCredential]]:
        connection = self.take()
        future = connection.find(kind, digests)
        future.add_done_callback(lambda _: self.release(connection))
        return future

    @abstractmethod
    def _create(self, options: Mapping[str, Any], **arguments: Any) -> C:
        """A connection, not yet open. The arguments are those of LookupConnection."""

    async def _connect(self) -> None:
        connection: C = self._create(
            self._options,
            deadline_seconds=self._deadline_seconds,
            prepared_statements=self._prepared_statements,
            on_lost=lambda: self._replace(connection),
        )
        await connection.open()
        self._down_since = None
        self._logged_cause = ""
        self._open.add(connection)
        self._free.append(connection)
        self.on_free()

    def _replace(self, connection: C) -> None:
        """Open another connection in place of a lost one. Called once for each."""
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if not self._closed:
            self._begin_to_connect()

    def _begin_to_connect(self) -> None:
        task = asyncio.get_running_loop().create_task(self._keep_trying())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _keep_trying(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not await self._try_to_connect():
            # Jitter, so that the workers do not all connect at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _try_to_connect(self) -> bool:
        try:
            await self._connect()
        except DatabaseUnavailable as error:
            self._note_failure()
            self._log_cause(error.__cause__ or error)
            return False
        except Exception:
            # Whatever went wrong: without another attempt the worker would never connect.
            log.exception("cannot connect for token lookups")
            self._note_failure()
            return False
        return True

    def _note_failure(self) -> None:
        if not self._open and self._down_since is None:
            self._down_since = asyncio.get_running_loop().time()

    def _log_cause(self, cause: BaseException) -> None:
        """Log why no connection can be opened, once until another reason comes up."""
        reason = str(cause).partition("\n")[0] or "no answer within the deadline"
        if reason != self._logged_cause:
            self._logged_cause = reason
            log.warning("cannot connect for token lookups: %s", reason)

    async def close(self) -> None:
        self._closed = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for connection in list(self._open):
            connection.close()


class PostgreSQLLookup(ConnectionPool[LookupConnection]):
    """Each connection has one batch in flight at a time."""

    def _create(self, options: Mapping[str, Any], **arguments: Any) -> LookupConnection:
        return LookupConnection(options, **arguments)
