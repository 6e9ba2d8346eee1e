"""One connection to PostgreSQL in psycopg2's asynchronous mode, with at most one query in flight.

Two traps of that mode shape the code. `poll()` called right after `execute()` can take the answer
for itself, so it is only called when the socket is ready. And a connection that the server has
closed stays readable for ever, so it is polled when idle too; its reader goes before its socket.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

import psycopg2
from psycopg2 import extensions

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup import dns, rows, server
from counterfoil.lookup.statements import postgresql

PLANNING = (
    # Otherwise PostgreSQL plans each lookup of a single key again, at four times its cost.
    "SET plan_cache_mode = force_generic_plan",
    # A plan made while the tables were empty could scan them until the next ANALYZE.
    "SET enable_seqscan = off",
    # The cost of a disabled scan would make compiling the query look worthwhile.
    "SET jit = off",
)

T = TypeVar("T")


class LookupConnection:
    """Connected by `open`; after that `find` may be called whenever its last future is done."""

    # Fails on a standby. Must come before the first query of a transaction.
    _BEGIN = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"
    _CHECK = "SELECT pg_is_in_recovery()"

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        deadline_seconds: float,
        prepared_statements: bool,
        on_lost: Callable[[], None],
    ) -> None:
        self._options = server.connection_options(options)
        self._settings = server.settings_for(options)
        self._deadline_seconds = deadline_seconds
        self._answer_seconds = deadline_seconds
        self._prepared_statements = prepared_statements
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._ready = False
        self._descriptor = -1
        self._connection: Any = None
        self._cursor: Any = None
        self._answer: asyncio.Future[Any] | None = None
        self._read: Callable[[Sequence[Any]], Any] = list
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connect and prepare the statements, within the deadline in all."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._connect()
                async with self._step():
                    await self._set_up()
        except (OSError, psycopg2.Error, DatabaseUnavailable) as error:
            self.close()
            raise DatabaseUnavailable("no connection for token lookups") from error
        except asyncio.CancelledError:
            self.close()
            raise
        self._ready = True

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> asyncio.Future[list[LiveCredential]]:
        """Look up a batch. If that fails, with DatabaseUnavailable, the connection is lost."""
        return self._execute(self._message(self._lookup(kind, digests)), read_credentials)

    def _lookup(self, kind: CredentialKind, digests: Sequence[bytes]) -> str:
        # Hexadecimal digits need no quoting. An E'' string means the same whatever
        # `standard_conforming_strings` is.
        array = "E'{" + ",".join(f'"\\\\\\\\x{digest.hex()}"' for digest in digests) + "}'"
        if self._prepared_statements:
            return f"EXECUTE {kind} ({array})"
        return postgresql(kind).replace("$1", f"{array}::bytea[]")

    def _message(self, statements: str) -> str:
        """Statements as they are sent. Without prepared ones, the settings come along."""
        return statements if self._prepared_statements else f"{self._preamble}; {statements}"

    def close(self, reason: BaseException | None = None) -> None:
        """Close the connection, and fail the query in flight."""
        if self._connection is None:
            return
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
        self._connection.close()
        self._connection = None
        failure = self._failure(reason)
        failure.__cause__ = reason
        self._settle(failure)
        if self._ready:
            self._ready = False
            self._on_lost()

    async def _set_up(self) -> None:
        """All in one message, because round trips to a distant database are slow."""
        statements = self._session_setup() if self._prepared_statements else []
        self._accept(*await self._execute("; ".join([*statements, self._CHECK]), list))

    def _accept(self, properties: Sequence[Any]) -> None:
        """Raises DatabaseUnavailable for a server that is not the one to ask."""
        if properties[0]:
            raise DatabaseUnavailable("the server is a standby")

    def _session_setup(self) -> list[str]:
        return [
            *PLANNING,
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
            *(f"SET {setting}" for setting in self._own_settings()),
            *self._prepared(),
        ]

    def _prepared(self) -> Iterator[str]:
        yield from (f"PREPARE {kind} (bytea[]) AS {postgresql(kind)}" for kind in CredentialKind)

    @cached_property
    def _preamble(self) -> str:
        """Sent before each query where sessions are not ours: in one message with the query it is
        one transaction, to which its settings are local."""
        return "; ".join([self._BEGIN, *(f"SET LOCAL {one}" for one in self._own_settings())])

    def _own_settings(self) -> Iterator[str]:
        # The server should stop a query when we stop waiting for it.
        yield f"statement_timeout = {int(self._answer_seconds * 1000)}"
        yield from (f"{name} = {value}" for name, value in self._settings.items())

    async def _connect(self) -> None:
        async with self._step():
            options = self._choose_host(await dns.resolve_async(self._options))
        self._connection = psycopg2.connect(**options, async_=True)
        while (state := self._connection.poll()) != extensions.POLL_OK:
            async with self._step():
                await self._socket_ready(for_reading=state == extensions.POLL_READ)
        self._descriptor = self._connection.fileno()
        self._cursor = self._connection.cursor()
        self._loop.add_reader(self._descriptor, self._on_readable)

    def _choose_host(self, resolved: dict[str, Any]) -> dict[str, Any]:
        return server.only_primary(resolved)

    def _step(self) -> asyncio.Timeout:
        """Bounds one step of connecting: after more time, a packet has probably been lost.

        Waiting for it until the deadline would only delay the next attempt.
        """
        return asyncio.timeout(self._deadline_seconds / 3)

    async def _socket_ready(self, *, for_reading: bool) -> None:
        # The descriptor may change between two steps, when libpq tries the next address.
        descriptor = self._connection.fileno()
        ready = self._loop.create_future()
        add, remove = (
            (self._loop.add_reader, self._loop.remove_reader)
            if for_reading
            else (self._loop.add_writer, self._loop.remove_writer)
        )
        add(descriptor, _set_once, ready)
        try:
            await ready
        finally:
            remove(descriptor)

    def _execute(self, statement: str, read: Callable[[Sequence[Any]], T]) -> "asyncio.Future[T]":
        answer: asyncio.Future[T] = self._loop.create_future()
        self._answer, self._read = answer, read
        self._timer = self._loop.call_later(
            self._answer_seconds,
            partial(self.close, TimeoutError("the lookup ran into its deadline")),
        )
        try:
            # A batch is at most 5 kB, and the socket empty: it is sent whole.
            self._cursor.execute(statement)
        except psycopg2.Error as error:
            self.close(error)
        return answer

    def _on_readable(self) -> None:
        try:
            state = self._connection.poll()
            if state == extensions.POLL_OK and self._answer is not None:
                self._settle(self._read(self._cursor.fetchall()))
        except Exception as error:
            # Whatever went wrong: the answer has been read, so no other event would end the wait.
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.close(error)

    def _failure(self, reason: BaseException | None) -> DatabaseUnavailable:
        # The first line only: the others quote the statement.
        cause = str(reason or "").partition("\n")[0] or "the connection was lost"
        return DatabaseUnavailable(f"a token lookup failed: {cause}")

    def _settle(self, outcome: Any) -> None:
        answer, timer, self._answer, self._timer = self._answer, self._timer, None, None
        if timer is not None:
            timer.cancel()
        if answer is None or answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


def read_credentials(found: Sequence[Any]) -> list[LiveCredential]:
    return [rows.read(row) for row in found]


def _set_once(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
