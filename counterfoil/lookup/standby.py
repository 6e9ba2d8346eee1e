"""One standby: its connections, and whether it may be asked at the moment.

A standby that has failed rests. Then it has to show that it reaches a mark before it is asked
again, so that no request waits for finding that out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg2

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup.connection import LookupConnection, read_credentials
from counterfoil.lookup.marks import (
    PREPARE_WAIT,
    REASONS,
    SQLSTATES,
    Mark,
    Outcome,
    StandbyFailed,
)
from counterfoil.lookup.postgresql import ConnectionPool

log = logging.getLogger("counterfoil.lookup")

# After twice its patience, or this if it is longer, the primary is asked in place of a standby.
_LATE_SECONDS = 0.04
# A connection that is silent for this part of the deadline, beyond its patience, is closed.
_SILENT_SHARE = 0.1
_FIRST_REST_SECONDS = 0.25
_LONGEST_REST_SECONDS = 1.0
# These do not pass by themselves.
_LASTING = frozenset({Outcome.NOT_A_STANDBY, Outcome.OTHER_REIGN})
_LASTING_REST_SECONDS = 5.0
# These are worth a line in the log only if they are still there after a rest.
_MOMENTARY = frozenset({Outcome.BEHIND, Outcome.CONFLICT, Outcome.LATE})


class StandbyConnection(LookupConnection):
    """Looks up a batch once the standby has reached a mark. Raises StandbyFailed otherwise."""

    _BEGIN = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    _CHECK = "SELECT system_identifier FROM pg_control_system()"
    _system = 0

    def __init__(self, options: Mapping[str, Any], *, patience_ms: int, **arguments: Any) -> None:
        super().__init__(options, **arguments)
        self._patience_ms = patience_ms
        self._answer_seconds = _SILENT_SHARE * self._deadline_seconds + patience_ms / 1000

    def find_at(
        self, mark: Mark, kind: CredentialKind, digests: Sequence[bytes]
    ) -> asyncio.Future[list[LiveCredential]]:
        # Two statements: the snapshot of the second is taken when the first has ended.
        statements = f"{self._wait(mark)}; {self._lookup(kind, digests)}"
        return self._ask(mark, statements, read_credentials)

    def reach(self, mark: Mark) -> asyncio.Future[list[Any]]:
        """Look nothing up."""
        return self._ask(mark, self._wait(mark), list)

    @property
    def unanswered(self) -> asyncio.Future[Any] | None:
        """The answer to what is in flight, or None if nothing is."""
        return self._answer

    def _wait(self, mark: Mark) -> str:
        return mark.wait(self._patience_ms, is_prepared=self._prepared_statements)

    def _prepared(self) -> Iterator[str]:
        yield from super()._prepared()
        yield PREPARE_WAIT

    def _ask(
        self, mark: Mark, statements: str, read: Callable[[Sequence[Any]], list[Any]]
    ) -> asyncio.Future[list[Any]]:
        # It may have been lost since it was taken.
        if not self._ready:
            raise StandbyFailed(Outcome.LOST)
        # A cluster that was restored from a dump has the same reign.
        if mark.system != self._system:
            raise StandbyFailed(Outcome.OTHER_REIGN)
        return self._execute(self._message(statements), read)

    def _accept(self, properties: Sequence[Any]) -> None:
        """Whether it is a standby can change, so `wait_for_mark` asks for that each time."""
        (self._system,) = properties

    def _choose_host(self, resolved: dict[str, Any]) -> dict[str, Any]:
        return resolved

    def _fail(self, error: Exception) -> None:
        """Keep the connection if it is the statement that has failed, in a way that is expected."""
        outcome = SQLSTATES.get(getattr(error, "pgcode", None) or "")
        if outcome is None or self._connection.closed:
            self.close(error)
        else:
            self._settle(StandbyFailed(outcome))

    def _failure(self, reason: BaseException | None) -> DatabaseUnavailable:
        is_silent = isinstance(reason, TimeoutError | psycopg2.extensions.QueryCanceledError)
        return StandbyFailed(Outcome.SILENT if is_silent else Outcome.LOST)


class Standby(ConnectionPool[StandbyConnection]):
    """The connections to a standby. `take_mark` asks the primary for one, for trying it out."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        patience_ms: int,
        take_mark: Callable[[], Awaitable[Mark | None]],
        **arguments: Any,
    ) -> None:
        super().__init__(options, **arguments)
        self.name = _name_of(options)
        self.is_usable = False
        self._patience_ms = patience_ms
        self._late_seconds = max(_LATE_SECONDS, 2 * patience_ms / 1000)
        self._take_mark = take_mark
        self._rest_seconds = _FIRST_REST_SECONDS
        self._usable_since = 0.0
        self._failed_with: Outcome | None = None
        self._is_announced = False
        self._failed = asyncio.Event()
        self._attendance: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and try the standby out, both in the background."""
        self._attendance = asyncio.get_running_loop().create_task(self._attend())

    async def close(self) -> None:
        self.is_usable = False
        if self._attendance is not None:
            self._attendance.cancel()
            await asyncio.gather(self._attendance, return_exceptions=True)
        await super().close()

    def count_free(self) -> int:
        return len(self._free)

    async def find_at(
        self,
        connection: StandbyConnection,
        mark: Mark,
        kind: CredentialKind,
        digests: Sequence[bytes],
    ) -> list[LiveCredential]:
        """Look up a batch by a connection that was taken. Raises StandbyFailed."""
        answer = connection.find_at(mark, kind, digests)
        await asyncio.wait([answer], timeout=self._late_seconds)
        if not answer.done():
            raise StandbyFailed(Outcome.LATE)
        return answer.result()

    def release(self, connection: StandbyConnection) -> None:
        """Give a connection back: at once, or when it has answered if it is late."""
        if connection.unanswered is None:
            super().release(connection)
        else:
            connection.unanswered.add_done_callback(partial(self._release_late, connection))

    def rest(self, outcome: Outcome) -> None:
        """Do not ask this standby for a while."""
        if not self.is_usable:
            return
        self.is_usable = False
        usable_seconds = asyncio.get_running_loop().time() - self._usable_since
        if usable_seconds > self._rest_seconds:
            self._rest_seconds = _FIRST_REST_SECONDS
        if outcome not in _MOMENTARY:
            self._note(outcome)
        self._failed.set()
        if outcome is Outcome.SILENT:
            # The others are probably dead, too, and each would have to be waited for.
            for connection in list(self._free):
                connection.close()
        self.on_free()

    def _release_late(self, connection: StandbyConnection, answer: asyncio.Future[Any]) -> None:
        # The request has been answered already. asyncio logs an exception that is never retrieved.
        answer.exception()
        super().release(connection)

    async def _attend(self) -> None:
        await super().open()
        while True:
            outcome = await self._try_out()
            if outcome is Outcome.ANSWERED:
                self._begin_to_answer()
                await self._failed.wait()
            elif outcome is not None:
                self._note(outcome)
            if self._failed_with in _LASTING:
                await asyncio.sleep(_LASTING_REST_SECONDS)
                continue
            await asyncio.sleep(self._rest_seconds)
            if outcome is not None:
                self._rest_seconds = min(2 * self._rest_seconds, _LONGEST_REST_SECONDS)

    def _begin_to_answer(self) -> None:
        self.is_usable, self._failed_with = True, None
        self._usable_since = asyncio.get_running_loop().time()
        self._failed.clear()
        if not self._is_announced:
            self._is_announced = True
            log.info("the standby %s answers lookups", self.name)
        self.on_free()

    async def _try_out(self) -> Outcome | None:
        """None if there is no mark at the moment, which is not the standby's fault."""
        try:
            mark = await self._take_mark()
        except DatabaseUnavailable:
            mark = None
        if mark is None:
            return None
        if not self.is_free():
            return Outcome.SILENT if self._open else Outcome.LOST
        connection = self.take()
        try:
            await connection.reach(mark)
        except StandbyFailed as failure:
            return failure.outcome
        finally:
            self.release(connection)
        return Outcome.ANSWERED

    def _note(self, outcome: Outcome) -> None:
        if outcome is not self._failed_with:
            self._failed_with, self._is_announced = outcome, False
            log.warning("the standby %s answers no lookups: %s", self.name, REASONS[outcome])

    def _replace(self, connection: StandbyConnection) -> None:
        super()._replace(connection)
        # Nothing is sent that could fail, so that the batches would wait for ever.
        if not self._open:
            self.rest(Outcome.LOST)

    def _create(self, options: Mapping[str, Any], **arguments: Any) -> StandbyConnection:
        return StandbyConnection(options, patience_ms=self._patience_ms, **arguments)


def _name_of(options: Mapping[str, Any]) -> str:
    return f"{options.get('host') or 'localhost'}:{options.get('port') or 5432}"
