"""Looks up tokens on standbys, with answers that are as fresh as the primary's.

For each batch the primary gives a mark, after the last request of the batch has arrived. A standby
answers once it has reached the mark. The primary answers what no standby can, within the deadline.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup.marks import Mark, Outcome, StandbyFailed
from counterfoil.lookup.primary import PrimaryLookup
from counterfoil.lookup.standby import Standby, StandbyConnection

T = TypeVar("T")

PRIMARY = "primary"


class LookupObserver:
    """Does nothing by itself. It is called on the event loop, so it must neither wait nor raise."""

    def batch_finished(self, *, server: str, outcome: Outcome) -> None:
        """A batch was sent to a server: to `primary`, or to a standby by its name."""

    def mark_finished(self, *, seconds: float, reign: int | None) -> None:
        """The primary has given a mark. Without a reign there was none: it has to be begun."""


class ReplicatedLookup:
    """`primary` and `standbys` are libpq's options, of one standby each."""

    def __init__(
        self,
        primary: Mapping[str, Any],
        standbys: Sequence[Mapping[str, Any]],
        *,
        deadline_seconds: float,
        connections: int = 2,
        standby_connections: int = 2,
        patience_ms: int = 20,
        prepared_statements: bool = True,
        observer: LookupObserver | None = None,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._observer = observer or LookupObserver()
        shared: dict[str, Any] = {
            "deadline_seconds": deadline_seconds,
            "prepared_statements": prepared_statements,
        }
        self._primary = PrimaryLookup(primary, connections=connections, **shared)
        self._primary.on_free = self._on_primary_free
        self._standbys = [
            Standby(
                options,
                connections=standby_connections,
                patience_ms=patience_ms,
                take_mark=lambda: self._at_primary(self._mark),
                **shared,
            )
            for options in standbys
        ]
        for standby in self._standbys:
            standby.on_free = lambda: self.on_free()
        self._waiting: deque[Callable[[], None]] = deque()
        self.on_free: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Connect. If the primary cannot be reached, this is retried in the background."""
        for standby in self._standbys:
            await standby.open()
        await self._primary.open()

    def is_free(self) -> bool:
        if self._waiting or not self._primary.is_free():
            return False
        usable = [standby for standby in self._standbys if standby.is_usable]
        return not usable or any(standby.is_free() for standby in usable)

    def is_down(self) -> bool:
        return self._primary.is_down()

    def usable_standbys(self) -> int:
        """How many standbys are asked at the moment."""
        return sum(standby.is_usable for standby in self._standbys)

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> asyncio.Future[list[LiveCredential]]:
        usable = [one for one in self._standbys if one.is_usable and one.is_free()]
        if not usable:
            return self._find_on_primary(kind, digests)
        standby = max(usable, key=Standby.count_free)
        # The mark is asked for here and now, while the batch can no longer grow.
        found = self._find_on(standby, standby.take(), self._mark(), kind, digests)
        return asyncio.get_running_loop().create_task(found)

    async def close(self) -> None:
        for standby in self._standbys:
            await standby.close()
        await self._primary.close()

    async def _find_on(
        self,
        standby: Standby,
        connection: StandbyConnection,
        asked: "asyncio.Future[Mark | None]",
        kind: CredentialKind,
        digests: Sequence[bytes],
    ) -> list[LiveCredential]:
        give_up_at = asyncio.get_running_loop().time() + self._deadline_seconds
        try:
            mark = await asked
            if mark is not None:
                found = await connection.find_at(mark, kind, digests)
                self._observer.batch_finished(server=standby.name, outcome=Outcome.ANSWERED)
                return found
        except StandbyFailed as failure:
            standby.rest(failure.outcome)
            self._observer.batch_finished(server=standby.name, outcome=failure.outcome)
        finally:
            standby.release(connection)
        try:
            async with asyncio.timeout_at(give_up_at):
                return await self._at_primary(partial(self._find_on_primary, kind, digests))
        except TimeoutError:
            raise DatabaseUnavailable("the primary has no free connection") from None

    def _find_on_primary(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> asyncio.Future[list[LiveCredential]]:
        found = self._primary.find(kind, digests)
        found.add_done_callback(self._observe_primary)
        return found

    def _observe_primary(self, found: asyncio.Future[list[LiveCredential]]) -> None:
        outcome = Outcome.ANSWERED if found.exception() is None else Outcome.LOST
        self._observer.batch_finished(server=PRIMARY, outcome=outcome)

    def _mark(self) -> "asyncio.Future[Mark | None]":
        mark = self._primary.mark()
        mark.add_done_callback(partial(self._observe_mark, time.perf_counter()))
        return mark

    def _observe_mark(self, began: float, asked: "asyncio.Future[Mark | None]") -> None:
        if asked.exception() is None:
            mark = asked.result()
            seconds = time.perf_counter() - began
            self._observer.mark_finished(seconds=seconds, reign=mark.number if mark else None)

    def _at_primary(self, send: Callable[[], asyncio.Future[T]]) -> asyncio.Future[T]:
        """Send something as soon as a connection is free, before the batches to come.

        The future is not that of the connection, which must not be cancelled.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(partial(_send_for, answer, send))
        self._send_waiting()
        return answer

    def _on_primary_free(self) -> None:
        self._send_waiting()
        self.on_free()

    def _send_waiting(self) -> None:
        while self._waiting and self._primary.is_free():
            self._waiting.popleft()()


def _send_for(answer: asyncio.Future[T], send: Callable[[], asyncio.Future[T]]) -> None:
    if not answer.done():
        send().add_done_callback(partial(_pass_on, answer))


def _pass_on(answer: asyncio.Future[T], found: asyncio.Future[T]) -> None:
    failure = found.exception()
    if answer.done():
        return
    if failure is not None:
        answer.set_exception(failure)
    else:
        answer.set_result(found.result())
