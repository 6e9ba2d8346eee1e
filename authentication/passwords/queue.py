"""The threads in which passwords are hashed, and the queue of those who wait for one.

A password takes a quarter of a second of a core, so it is hashed at low priority, in a few threads,
and past a bounded queue the answer is 503. Users who are known where they come from, or logged in,
have places there that strangers cannot fill, and take turns with them. Nobody waits longer than the
deadline, and who hangs up makes room.
"""

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from authentication.errors import HashingBusy
from authentication.instrumentation import NOBODY, Observer
from authentication.passwords import disconnects
from authentication.settings import AuthenticationSettings

_LOWER_PRIORITY = 10
# Of the deadline. Hashes do not all take equally long, and the last one has to be done in time.
_SHARE_FOR_WAITING = 0.8

T = TypeVar("T")


class _Job(Generic[T]):
    """One piece of work. `running` is there once a thread has been found for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.queued_at = self.began_at = time.perf_counter()
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.running: asyncio.Future[T] | None = None

    def finish(self, done: "asyncio.Future[T]") -> None:
        if done.cancelled() or self.answer.done():
            self.answer.cancel()
        elif error := done.exception():
            self.answer.set_exception(error)
        else:
            self.answer.set_result(done.result())


class HashingThreads:
    """Belongs to the event loop it is used on.

    `is_in_demand` tells whether others need the processor. While they do, one thread stays idle:
    on a core that computes, whoever wakes up has to wait, whatever the priorities.
    """

    def __init__(
        self,
        settings: AuthenticationSettings,
        observer: Observer = NOBODY,
        *,
        is_in_demand: Callable[[], bool] = lambda: False,
    ) -> None:
        self.deadline_seconds = settings.hashing_deadline_seconds
        self._observer = observer
        self._is_in_demand = is_in_demand
        self._hash_seconds = 0.0
        self._free = settings.hashing_threads + settings.hashing_queue
        self._free_reserved = settings.hashing_reserve
        self._preferred: set[int] = set()
        self._known: deque[_Job[Any]] = deque()
        self._strangers: deque[_Job[Any]] = deque()
        self._turns = deque([self._known, self._strangers])
        self._running = 0
        self._most = settings.hashing_threads
        self._threads = ThreadPoolExecutor(
            self._most, thread_name_prefix="hashing", initializer=_lower_priority
        )

    def is_full(self) -> bool:
        """Whether strangers are refused at this moment."""
        return not self._free or len(self._strangers) >= self._most_in_time()

    def _most_in_time(self) -> float:
        """How many can be hashed within the deadline, if each takes as long as the last did."""
        if not self._hash_seconds:
            return math.inf
        seconds = _SHARE_FOR_WAITING * self.deadline_seconds * self._allowed()
        return max(1.0, seconds / self._hash_seconds)

    @contextmanager
    def reserve(self, account: int | None = None) -> Iterator["HashingPlace"]:
        """A place in the queue, to be had before anything else is done. Raises HashingBusy.

        With an account, that is a user's id, it may be one of those kept from strangers.
        """
        place = HashingPlace(self, is_reserved=self._take(account))
        if place.is_reserved:
            place.prefer(account)
        try:
            yield place
        finally:
            place.leave()

    async def run(self, work: Callable[[], T], *, account: int | None = None) -> T:
        """Do one piece of work. Raises HashingBusy instead of queueing past the limit."""
        with self.reserve(account) as place:
            return await place.run(work, account=account)

    def _take(self, account: int | None) -> bool:
        """Returns whether it is a reserved one."""
        is_stranger = account is None or account in self._preferred
        if self._free and not (is_stranger and self.is_full()):
            self._free -= 1
            return False
        if is_stranger or not self._free_reserved:
            raise self.refuse()
        self._free_reserved -= 1
        return True

    def give_back(self, place: "HashingPlace") -> None:
        if place.is_reserved:
            self._free_reserved += 1
        else:
            self._free += 1
        if place.account is not None:
            self._preferred.discard(place.account)

    def prefer(self, account: int) -> bool:
        """Whether the account may go before strangers. Whoever fills the queue by one may not."""
        if account in self._preferred:
            return False
        self._preferred.add(account)
        return True

    def refuse(self) -> HashingBusy:
        self._observer.hashing_refused()
        return HashingBusy()

    def queue(self, job: _Job[Any], *, known: bool) -> None:
        (self._known if known else self._strangers).append(job)
        self._observer.hashing_queued()
        self._send()

    def drop(self, job: _Job[Any]) -> None:
        """Nobody waits for it any more. What has begun goes on to its end."""
        job.answer.cancel()
        if job.running is None:
            (self._known if job in self._known else self._strangers).remove(job)
            self._observer.hashing_given_up()

    def _send(self) -> None:
        while self._running < self._allowed() and (job := self._next()) is not None:
            self._running += 1
            job.began_at = time.perf_counter()
            self._observer.hashing_began(waited=job.began_at - job.queued_at)
            job.running = asyncio.wrap_future(self._threads.submit(self._do, job.work))
            job.running.add_done_callback(self._end(job))

    def _allowed(self) -> int:
        return max(1, self._most - 1) if self._is_in_demand() else self._most

    def _next(self) -> _Job[Any] | None:
        for _ in range(len(self._turns)):
            self._turns.rotate()
            if self._turns[0]:
                return self._turns[0].popleft()
        return None

    def _end(self, job: _Job[Any]) -> Callable[["asyncio.Future[Any]"], None]:
        def end(done: "asyncio.Future[Any]") -> None:
            self._running -= 1
            job.finish(done)
            self._hash_seconds = time.perf_counter() - job.began_at
            self._send()

        return end

    def _do(self, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._observer.hashed(seconds=time.perf_counter() - began)

    def close(self) -> None:
        """Drop what has not begun."""
        for waiting in self._turns:
            for job in waiting:
                job.answer.cancel()
            waiting.clear()
        self._threads.shutdown(cancel_futures=True)


class HashingPlace:
    """One of the places in the queue, good for one piece of work at a time."""

    def __init__(self, threads: HashingThreads, *, is_reserved: bool) -> None:
        self.is_reserved = is_reserved
        self.account: int | None = None
        self._threads = threads
        self._job: _Job[Any] | None = None

    def prefer(self, account: int | None) -> None:
        """Go before strangers, unless the account does so at another place already."""
        if account is not None and self.account is None and self._threads.prefer(account):
            self.account = account

    async def run(self, work: Callable[[], T], *, account: int | None = None) -> T:
        """Wait for a thread, and for the work to be done there. `account` is as for `reserve`.

        Raises HashingBusy past the deadline, and when the caller has hung up.
        """
        self.prefer(account)
        job = _Job(work)
        self._job = job
        self._threads.queue(job, known=self.account is not None)
        in_time = await disconnects.wait(job.answer, seconds=self._threads.deadline_seconds)
        if not job.answer.done():
            raise HashingBusy if in_time else self._threads.refuse()
        return job.answer.result()

    def leave(self) -> None:
        """Make room, but not while the work goes on for somebody who has given up."""
        job = self._job
        if job is not None and not job.answer.done():
            self._threads.drop(job)
        if job is None or job.running is None or job.running.done():
            self._threads.give_back(self)
        else:
            job.running.add_done_callback(lambda _: self._threads.give_back(self))


def _lower_priority() -> None:
    # On Linux, niceness belongs to the thread.
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)
