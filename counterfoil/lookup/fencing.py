"""Fencing: a primary's answers count only while it proves that no other server replaced it.

A commit that waits for a synchronous standby is visible only once the standby has confirmed it, and
a standby that was promoted confirms nothing. So a counter in the table `reign`, the beat, stops to
rise on a primary that was replaced, even if that is frozen, cut off, and does not notice.

A beat is raised only after the one before it has become visible. If beat 7 is visible, then the
standby confirmed it after beat 6 had become visible, and so after each moment in which beat 5 was
still the last: at such a moment nobody had been promoted. A new primary takes writes only
`seconds` after its promotion, so for that long nothing can have been revoked elsewhere.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from counterfoil.errors import DatabaseUnavailable
from counterfoil.lookup.marks import Mark

log = logging.getLogger("counterfoil.lookup")

# A beat is raised about every sixth part of the time, and each has to be seen while it is the last.
_ASKED_SHARE = 1 / 12


class Asked(NamedTuple):
    """When the primary was asked, on this machine's monotonic clock, and of which reign it was."""

    at: float
    nonce: str


class Fence:
    """What the beats have shown so far. Times are of this machine's monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.nonce = ""
        self._seconds = seconds
        self._proven_at = -math.inf
        self._seen: deque[tuple[int, float]] = deque()

    def observe(self, nonce: str, beat: int, *, asked_at: float) -> None:
        """The primary was asked at this moment, and answered with this beat."""
        if nonce != self.nonce:
            self.nonce = nonce
            self._proven_at = -math.inf
            self._seen.clear()
        if self._seen and beat <= self._seen[-1][0]:
            # An answer that was overtaken by a later one shows nothing new.
            if beat == self._seen[-1][0]:
                self._seen[-1] = (beat, max(asked_at, self._seen[-1][1]))
            return
        self._seen.append((beat, asked_at))
        while self._seen[0][0] <= beat - 2:
            self._proven_at = self._seen.popleft()[1]

    def covers(self, asked: Asked) -> bool:
        """Whether no other server can have taken writes before the primary was asked."""
        return asked.nonce == self.nonce and asked.at < self._proven_at + self._seconds

    def is_open(self, now: float) -> bool:
        """Whether the primary can be asked at this moment."""
        return now < self._proven_at + self._seconds


class FenceKeeper:
    """Keeps asking the primary for its beat, and rejects what it answers without proof.

    `take_mark` asks for a mark, whose answer is to be passed to `observe`.
    """

    def __init__(self, seconds: float, take_mark: Callable[[], asyncio.Future[Any]]) -> None:
        self._fence = Fence(seconds)
        self._seconds = seconds
        self._take_mark = take_mark
        self._is_reported = False
        self._is_proven = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self, *, patience_seconds: float) -> None:
        """Begin to ask, and wait so long for the first proof."""
        self._task = asyncio.get_running_loop().create_task(self._keep_asking())
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._is_proven.wait()

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def is_open(self) -> bool:
        """Whether the primary may be asked at this moment."""
        return self._fence.is_open(time.monotonic())

    def ask(self) -> Asked:
        """To be called when a question is sent to the primary."""
        return Asked(time.monotonic(), self._fence.nonce)

    def observe(self, mark: Mark, *, asked_at: float) -> None:
        """The primary has given a mark."""
        self._fence.observe(mark.nonce, mark.beat, asked_at=asked_at)
        if self.is_open():
            self._is_proven.set()

    def reject_unproven(self, asked: Asked) -> None:
        """Raises DatabaseUnavailable if somebody else may be the primary."""
        if not self._fence.covers(asked):
            raise DatabaseUnavailable("the primary has not shown that it was not replaced")

    async def _keep_asking(self) -> None:
        began = time.monotonic()
        asked = self._take_mark()
        try:
            while True:
                await asyncio.sleep(_ASKED_SHARE * self._seconds)
                if time.monotonic() - began > self._seconds:
                    self._report()
                # One question at a time, as it waits where there is no connection.
                if asked.done():
                    # That it failed shows by itself, as there is no new beat.
                    asked.exception()
                    asked = self._take_mark()
        finally:
            asked.cancel()

    def _report(self) -> None:
        """Log when the fence has closed, and when it has opened again."""
        if self._is_reported != self.is_open():
            return
        self._is_reported = not self._is_reported
        if self._is_reported:
            log.warning(
                "no token is accepted: for %.0f s the primary has not shown that a standby confirms"
                " what it writes, so that another server may have replaced it",
                self._seconds,
            )
        else:
            log.info("tokens are accepted again: the primary's standby confirms what it writes")
