"""Connects to PostgreSQL within the deadline: libpq itself waits for minutes."""

import math
import queue
import threading
from collections.abc import Callable
from typing import Any

from database.engine import deadlines

# libpq's least. It ends the threads of attempts that are given up.
_LEAST_TIMEOUT_SECONDS = 2
# While the network swallows packets, more threads than these would only wait as well.
_attempts_left = threading.BoundedSemaphore(8)


def connect(attempt: Callable[[], Any], *, patience_seconds: float) -> Any:
    """The result of the first of several attempts that succeeds, or the error of one that fails.

    After each `patience_seconds` without an answer another attempt begins beside the others, as a
    packet has probably been lost. Raises NoAnswer at the deadline; without one there is a single
    attempt, for which the server may take as long as it likes.
    """
    if deadlines.remaining_seconds() is None:
        return attempt()
    race = _Race(attempt)
    while remaining := deadlines.remaining_seconds():
        race.begin_another()
        try:
            return race.result(min(patience_seconds, remaining))
        except queue.Empty:
            continue
    race.give_up()
    raise deadlines.NoAnswer("no connection within the deadline")


def timeout_option() -> dict[str, int]:
    """The option by which libpq gives up an attempt not long after we have."""
    seconds = deadlines.remaining_seconds()
    if seconds is None:
        return {}
    return {"connect_timeout": max(_LEAST_TIMEOUT_SECONDS, math.ceil(seconds))}


class _Race:
    """Attempts in threads. A connection that comes too late is closed."""

    def __init__(self, attempt: Callable[[], Any]) -> None:
        self._attempt = attempt
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_over = False

    def begin_another(self) -> None:
        """Unless too many attempts of this process have not ended yet."""
        if _attempts_left.acquire(blocking=False):
            threading.Thread(target=self._run, name="connect", daemon=True).start()

    def _run(self) -> None:
        result: Any
        try:
            result = self._attempt()
        except Exception as error:
            result = error
        finally:
            _attempts_left.release()
        with self._lock:
            if not self._is_over:
                self._results.put(result)
                return
        _close(result)

    def result(self, seconds: float) -> Any:
        """Raises queue.Empty if there is none after so many seconds."""
        result = self._results.get(timeout=seconds)
        self.give_up()
        if isinstance(result, Exception):
            raise result
        return result

    def give_up(self) -> None:
        with self._lock:
            self._is_over = True
        while not self._results.empty():
            _close(self._results.get())


def _close(result: Any) -> None:
    if not isinstance(result, Exception):
        result.close()
