"""Runs writes in the background, in batches: requests do not wait for them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

_BATCH_SECONDS = 1.0


class WriteBehind:
    """Calls `write` some seconds after `schedule`, and when it stops. `write` must not raise."""

    def __init__(
        self, write: Callable[[], Awaitable[None]], *, seconds: float = _BATCH_SECONDS
    ) -> None:
        self._write = write
        self._seconds = seconds
        self._scheduled = asyncio.Event()
        self._immediately = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the task that writes."""
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what is pending, and end the task."""
        self._stopping = True
        self.schedule(immediately=True)
        if self._task is not None:
            await self._task

    def schedule(self, *, immediately: bool = False) -> None:
        """Write soon; what is added until then is part of the same batch."""
        self._scheduled.set()
        if immediately:
            self._immediately.set()

    async def _run(self) -> None:
        while not self._stopping:
            await self._scheduled.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._immediately.wait(), self._seconds)
            self._scheduled.clear()
            self._immediately.clear()
            await self._write()
        await self._write()
