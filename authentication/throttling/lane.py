"""Runs work that any client can ask for one by one, so that floods do not slow token checks.

See docs/decisions/0008-token-checks-go-before-hashing.md: a pause of nineteen times its duration
follows each, while others wait and tokens are checked.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from authentication.errors import MailBusy
from counterfoil.errors import CounterfoilError

T = TypeVar("T")

# As many as can be served within a second or so, even with pauses.
_MAX_WAITING = 20
_PAUSE_FACTOR = 19
# The time over which the rejections of a flood are spread.
_SPREAD_SECONDS = 0.4


class Lane:
    """Belongs to the event loop on which it is used. `is_in_demand`: whether tokens are checked."""

    def __init__(
        self, *, is_in_demand: Callable[[], bool], error: type[CounterfoilError] = MailBusy
    ) -> None:
        self._is_in_demand = is_in_demand
        self._error = error
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work once it is its turn. Raises the error if too many wait already."""
        if self._waiting >= _MAX_WAITING:
            # Rejecting all at once would delay everything else.
            await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS))  # noqa: S311
            raise self._error
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        began = time.monotonic()
        try:
            return await work()
        finally:
            self._pass_on(time.monotonic() - began)

    def _pass_on(self, seconds: float) -> None:
        """Let the next one begin, after a pause of which this one is not to know."""
        pause = _PAUSE_FACTOR * seconds if self._waiting and self._is_in_demand() else 0.0
        asyncio.get_running_loop().call_later(pause, self._turn.release)
