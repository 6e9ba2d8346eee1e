"""The queue of passwords that wait to be hashed, and the threads that hash them.

A password takes a quarter of a second of a core, so passwords are hashed at low priority in a few
threads, and past a bounded queue the answer is 503. Trusted users (those who are logged in, or who
come from a network that they have logged in from before) have a queue of their own, which takes
turns with that of all other clients, and slots that others cannot take. Nobody waits past the
deadline, and a client that disconnects frees its slot.
"""

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from authentication.errors import HashingBusy
from authentication.instrumentation import Instrumentation, NullInstrumentation
from authentication.passwords import disconnects
from authentication.settings import AuthenticationSettings

_LOWER_PRIORITY = 10
# In a flood, for each second of hashing for untrusted clients: they then get a fifth of a core.
_PAUSE = 4
_FLOOD_SECONDS = 1.0
# Of the deadline. Hashes do not all take equally long, and the last one has to be done in time.
_SHARE_FOR_WAITING = 0.8

T = TypeVar("T")


class Slot:
    """Room for one password. `hashing` is there once it has been given to the threads."""

    def __init__(self, *, is_reserved: bool) -> None:
        self.is_reserved = is_reserved
        self.trusted_user_id: int | None = None
        self.work: Callable[[], Any]
        self.queued_at = 0.0
        self.answer: asyncio.Future[Any] | None = None
        self.job: Future[Any] | None = None
        self.hashing: asyncio.Future[Any] | None = None

    def has_begun(self) -> bool:
        """Whether a thread computes the hash, or has done so. If not, none will from now on."""
        return self.job is not None and not self.job.cancel()

    def put(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """What is to be done in it. Returns the answer to come."""
        self.work, self.queued_at = work, time.perf_counter()
        self.answer = asyncio.get_running_loop().create_future()
        return self.answer

    def settle(self, hashing: "asyncio.Future[Any]") -> None:
        """Hand on what came of it, if the client still waits."""
        error = None if hashing.cancelled() else hashing.exception()
        if self.answer is None or self.answer.done():
            return
        if hashing.cancelled():
            self.answer.cancel()
        elif error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(hashing.result())


class HashingQueue:
    """Belongs to the event loop it is used on.

    `is_in_demand` tells whether others need the processor. While they do, one thread stays idle:
    on a core that computes, whatever wakes up has to wait, whatever the priorities.
    """

    def __init__(
        self,
        settings: AuthenticationSettings,
        instrumentation: Instrumentation = NullInstrumentation(),
        *,
        is_in_demand: Callable[[], bool] = lambda: False,
    ) -> None:
        self.deadline_seconds = settings.hashing_deadline_seconds
        self._instrumentation = instrumentation
        self._is_in_demand = is_in_demand
        self._free = settings.hashing_threads + settings.hashing_queue
        self._free_reserved = settings.hashing_reserve
        # Those who are in the trusted queue, or have a reserved slot: each of them once.
        self._trusted_user_ids: set[int] = set()
        self._trusted: deque[Slot] = deque()
        self._untrusted: deque[Slot] = deque()
        self._turns = deque([self._trusted, self._untrusted])
        self._running = 0
        self._hash_seconds = 0.0
        self._rejected_at = self._pause_ends_at = -math.inf
        self._threads = settings.hashing_threads
        self._executor = ThreadPoolExecutor(
            self._threads, thread_name_prefix="hashing", initializer=_lower_priority
        )

    def is_full(self) -> bool:
        """Whether untrusted clients are rejected at this moment."""
        return not self._free or len(self._untrusted) >= self._most_in_time()

    @contextmanager
    def reserve(self, user_id: int | None = None) -> Iterator[Slot]:
        """A slot, to be had before anything else is done. Raises HashingBusy.

        For a trusted user, who is named by `user_id`, it may be one of those kept from others.
        """
        slot = self._take(user_id)
        try:
            yield slot
        finally:
            self._leave(slot)

    async def run(self, work: Callable[[], T], *, user_id: int | None = None) -> T:
        """Do one piece of work in a slot of its own. Raises HashingBusy."""
        with self.reserve(user_id) as slot:
            return await self.run_in(slot, work, user_id=user_id)

    async def run_in(self, slot: Slot, work: Callable[[], T], *, user_id: int | None = None) -> T:
        """Wait for a thread, and for the work to be done there. `user_id` is as for `reserve`.

        Raises HashingBusy past the deadline, and when the client has disconnected.
        """
        self._trust(slot, user_id)
        answer = slot.put(work)
        self._queue_of(slot).append(slot)
        self._instrumentation.hashing_queued()
        self._start()
        in_time = await disconnects.wait(answer, seconds=self.deadline_seconds)
        if not answer.done():
            raise HashingBusy if in_time else self._reject()
        return answer.result()

    def withdraw(self, slot: Slot) -> bool:
        """Drop the work of a client that has given up. Returns False if it has begun."""
        self._abandon(slot)
        return not slot.has_begun()

    def close(self) -> None:
        """Drop what has not begun."""
        for waiting in self._turns:
            for slot in waiting:
                if slot.answer is not None:
                    slot.answer.cancel()
            waiting.clear()
        self._executor.shutdown(cancel_futures=True)

    def _take(self, user_id: int | None) -> Slot:
        is_trusted = user_id is not None and user_id not in self._trusted_user_ids
        if self._free and (is_trusted or not self.is_full()):
            self._free -= 1
            return Slot(is_reserved=False)
        if not is_trusted or not self._free_reserved:
            self._rejected_at = time.monotonic()
            raise self._reject()
        self._free_reserved -= 1
        slot = Slot(is_reserved=True)
        self._trust(slot, user_id)
        return slot

    def _trust(self, slot: Slot, user_id: int | None) -> None:
        """Once for each user, as nobody may fill the trusted queue with a single account."""
        if user_id is not None and user_id not in self._trusted_user_ids:
            self._trusted_user_ids.add(user_id)
            slot.trusted_user_id = user_id

    def _reject(self) -> HashingBusy:
        self._instrumentation.hashing_rejected()
        return HashingBusy()

    def _queue_of(self, slot: Slot) -> deque[Slot]:
        return self._untrusted if slot.trusted_user_id is None else self._trusted

    def _start(self) -> None:
        while self._running < self._usable_threads() and (slot := self._next()) is not None:
            self._running += 1
            self._instrumentation.hashing_started(waited=time.perf_counter() - slot.queued_at)
            slot.job = self._executor.submit(self._hash, slot.work)
            slot.hashing = asyncio.wrap_future(slot.job)
            slot.hashing.add_done_callback(partial(self._end, slot))

    def _usable_threads(self) -> int:
        return max(1, self._threads - 1) if self._is_in_demand() else self._threads

    def _next(self) -> Slot | None:
        for _ in range(len(self._turns)):
            self._turns.rotate()
            is_untrusted = self._turns[0] is self._untrusted
            if self._turns[0] and not (is_untrusted and time.monotonic() < self._pause_ends_at):
                return self._turns[0].popleft()
        return None

    def _hash(self, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._hash_seconds = time.perf_counter() - began
            self._instrumentation.hashing_finished(seconds=self._hash_seconds)

    def _end(self, slot: Slot, hashing: "asyncio.Future[Any]") -> None:
        self._running -= 1
        slot.settle(hashing)
        if slot.trusted_user_id is None and self._is_flooded():
            self._pause_untrusted(_PAUSE * self._hash_seconds)
        self._start()

    def _is_flooded(self) -> bool:
        """Whether tokens are checked while logins are rejected for want of a slot."""
        return self._is_in_demand() and time.monotonic() - self._rejected_at < _FLOOD_SECONDS

    def _pause_untrusted(self, seconds: float) -> None:
        self._pause_ends_at = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds, self._start)

    def _leave(self, slot: Slot) -> None:
        """Free the slot, but not while a thread works for a client that has given up."""
        self._abandon(slot)
        if slot.hashing is None or slot.hashing.done():
            self._free_slot(slot)
        else:
            slot.hashing.add_done_callback(lambda _: self._free_slot(slot))

    def _abandon(self, slot: Slot) -> None:
        if slot.answer is not None and not slot.answer.done():
            slot.answer.cancel()
            if slot.hashing is None:
                self._queue_of(slot).remove(slot)
                self._instrumentation.hashing_abandoned()

    def _free_slot(self, slot: Slot) -> None:
        if slot.is_reserved:
            self._free_reserved += 1
        else:
            self._free += 1
        if slot.trusted_user_id is not None:
            self._trusted_user_ids.discard(slot.trusted_user_id)

    def _most_in_time(self) -> float:
        """How many can be hashed within the deadline, if each takes as long as the last did."""
        if not self._hash_seconds:
            return math.inf
        seconds = _SHARE_FOR_WAITING * self.deadline_seconds * self._usable_threads()
        each = self._hash_seconds * (1 + _PAUSE if self._is_flooded() else 1)
        return max(1.0, seconds / each)


def _lower_priority() -> None:
    # On Linux, niceness belongs to the thread.
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)
