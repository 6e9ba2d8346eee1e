"""Ends waits for PostgreSQL from outside: a thread shuts the socket down at the deadline.

libpq waits for an answer without a limit. psycopg2 could hand each wait to a callback, but only to
one for the whole process: it would change the connections of an application that embeds us, and
COPY does not work with it. Shutting down a socket ends a wait on that connection and on no other.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR, socket


class _Wait:
    """One wait in progress."""

    __slots__ = ("deadline", "is_over", "socket")

    def __init__(self, socket: socket, deadline: float) -> None:
        self.socket = socket
        self.deadline = deadline
        self.is_over = False


class Watchdog:
    """Its thread starts with the first wait. There is one for the process."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waits: set[_Wait] = set()
        self._wakes_at = 0.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def bounded(self, socket: socket, seconds: float) -> Iterator[_Wait]:
        """Shut the socket down if the block takes longer; `is_over` is true then."""
        wait = _Wait(socket, time.monotonic() + seconds)
        self._add(wait)
        try:
            yield wait
        finally:
            with self._condition:
                self._waits.discard(wait)

    def _add(self, wait: _Wait) -> None:
        with self._condition:
            self._waits.add(wait)
            # A process that was forked has the object, but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._wakes_at = wait.deadline
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()
            elif wait.deadline < self._wakes_at:
                self._condition.notify()

    def _watch(self) -> None:
        with self._condition:
            while True:
                now = time.monotonic()
                for wait in self._waits:
                    if wait.deadline <= now and not wait.is_over:
                        wait.is_over = True
                        _shut_down(wait.socket)
                pending = (wait.deadline for wait in self._waits if not wait.is_over)
                # With nothing to watch it sleeps until it is notified.
                self._wakes_at = min(pending, default=float("inf"))
                seconds = self._wakes_at - now
                self._condition.wait(None if seconds == float("inf") else max(0.0, seconds))


def _shut_down(socket: socket) -> None:
    try:
        socket.shutdown(SHUT_RDWR)
    except OSError:
        # The other side has closed the connection already.
        return


watchdog = Watchdog()
