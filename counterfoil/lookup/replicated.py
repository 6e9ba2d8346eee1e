"""Looks up tokens on standbys, with answers that are as fresh as the primary's.

For each batch the primary gives a mark, after the last request of the batch has arrived. A standby
answers once it has reached the mark. The primary answers what no standby can, within the deadline.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup.fencing import Asked, FenceKeeper
from counterfoil.lookup.marks import Mark, Outcome, StandbyFailed
from counterfoil.lookup.primary import PrimaryLookup
from counterfoil.lookup.reigns import Reigns
from counterfoil.lookup.standby import Standby, StandbyConnection
from counterfoil.lookup.watch import Watch

log = logging.getLogger("counterfoil.lookup")

T = TypeVar("T")

PRIMARY = "primary"


class LookupObserver:
    """Does nothing by itself. It is called on the event loop, so it must neither wait nor raise."""

    def batch_finished(self, *, server: str, outcome: Outcome) -> None:
        """A batch was sent to a server: to `primary`, or to a standby by its name."""

    def mark_finished(self, *, seconds: float, mark: Mark | None, is_fenced: bool) -> None:
        """The primary was asked for a mark. Without one, its reign has to be begun.

        `is_fenced` is whether no token is accepted, as the beats do not show enough.
        """


class ReplicatedLookup:
    """`primary` and `standbys` are libpq's options, of one standby each.

    With `fencing_seconds`, nothing is answered unless beats have shown that the primary was not
    replaced: see counterfoil/lookup/fencing.py. There may be no standbys then.
    """

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
        fencing_seconds: float = 0,
        reigns: Reigns | None = None,
        observer: LookupObserver | None = None,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._observer = observer or LookupObserver()
        shared: dict[str, Any] = {
            "deadline_seconds": deadline_seconds,
            "prepared_statements": prepared_statements,
        }
        self._reigns = reigns or Reigns()
        self._primary = PrimaryLookup(
            primary, reigns=self._reigns, connections=connections, **shared
        )
        self._primary.on_free = self._on_primary_free
        self._reigns.on_newer = self._leave_former
        self._watch = Watch(primary, standbys, self._reigns, **shared)
        take_mark = partial(self._at_primary, self._mark)
        self._fence = FenceKeeper(fencing_seconds, take_mark) if fencing_seconds else None
        self._standbys = [
            Standby(
                options,
                connections=standby_connections,
                patience_ms=patience_ms,
                take_mark=take_mark,
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
        self._watch.open()
        if self._fence is not None:
            await self._fence.open(patience_seconds=self._deadline_seconds)

    def is_free(self) -> bool:
        if self._waiting or not self._primary.is_free():
            return False
        usable = [standby for standby in self._standbys if standby.is_usable]
        return not usable or any(standby.is_free() for standby in usable)

    def is_down(self) -> bool:
        return self._primary.is_down()

    def is_fenced(self) -> bool:
        """Whether no token is accepted, as the primary may have been replaced."""
        return self._fence is not None and not self._fence.is_open()

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
        await self._watch.close()
        if self._fence is not None:
            await self._fence.close()
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
        asked_at = time.monotonic()
        give_up_at = asyncio.get_running_loop().time() + self._deadline_seconds
        try:
            mark = await asked
            if mark is not None:
                if self._fence is not None:
                    self._fence.reject_unproven(Asked(asked_at, mark.nonce))
                found = await standby.find_at(connection, mark, kind, digests)
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
        if self._fence is None:
            return found
        answer: asyncio.Future[list[LiveCredential]] = asyncio.get_running_loop().create_future()
        check = partial(self._fence.reject_unproven, self._fence.ask())
        found.add_done_callback(partial(_pass_on, answer, check=check))
        return answer

    def _observe_primary(self, found: asyncio.Future[list[LiveCredential]]) -> None:
        outcome = Outcome.ANSWERED if found.exception() is None else Outcome.LOST
        self._observer.batch_finished(server=PRIMARY, outcome=outcome)

    def _mark(self) -> "asyncio.Future[Mark | None]":
        asked_at = time.monotonic()
        mark = self._primary.mark()
        mark.add_done_callback(partial(self._observe_mark, asked_at))
        return mark

    def _observe_mark(self, asked_at: float, asked: "asyncio.Future[Mark | None]") -> None:
        if asked.exception() is not None:
            return
        mark = asked.result()
        if mark is not None:
            self._reigns.note(mark.number)
            if self._fence is not None:
                self._fence.observe(mark, asked_at=asked_at)
        seconds = time.monotonic() - asked_at
        self._observer.mark_finished(seconds=seconds, mark=mark, is_fenced=self.is_fenced())

    def _leave_former(self) -> None:
        log.warning(
            "there is a new primary, of reign %d: connections to the former one are replaced",
            self._reigns.newest,
        )
        self._primary.reconnect()

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


def _pass_on(
    answer: asyncio.Future[T],
    found: asyncio.Future[T],
    *,
    check: Callable[[], None] = lambda: None,
) -> None:
    """`check` raises what is to be passed on in place of a result."""
    if answer.done():
        found.exception()
        return
    try:
        result = found.result()
        check()
    except Exception as failure:
        answer.set_exception(failure)
    else:
        answer.set_result(result)
