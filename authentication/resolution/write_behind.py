"""Writes behind the requests' back: what has gathered in a moment goes out together."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

_GATHER_SECONDS = 1.0


class WriteBehind:
    """Calls `write` a moment after `wake`, and once more at the end. `write` must not raise."""

    def __init__(self, write: Callable[[], Awaitable[None]]) -> None:
        self._write = write
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to write."""
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, and end."""
        self._stopping = True
        self.wake(hurry=True)
        if self._task is not None:
            await self._task

    def wake(self, *, hurry: bool = False) -> None:
        """There is something to write; others may join in, unless there is a hurry."""
        self._wake.set()
        if hurry:
            self._hurry.set()

    async def _run(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _GATHER_SECONDS)
            self._wake.clear()
            self._hurry.clear()
            await self._write()
        await self._write()
