"""Commits that return only once they are confirmed, and a limit for those that are abandoned.

With a synchronous standby PostgreSQL holds back the answer to COMMIT until the standby has the
transaction. If that wait is cancelled, COMMIT succeeds with a warning, although the standby may not
have the transaction. If we stop waiting, the server goes on: the abandoned commit occupies a
connection until the standby is back.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2

from counterfoil.errors import DatabaseUnavailable

_RECOUNT_SECONDS = 0.5


class CommitNotConfirmed(psycopg2.OperationalError):
    """The transaction is committed, but a failover may lose it."""


class AbandonedCommits:
    """Counts the commits that were abandoned at the deadline while the server still waits.

    Abandoned commits and writing transactions together never exceed `limit`. `recount` asks the
    server how many commits wait.
    """

    def __init__(self, limit: int, recount: Callable[[], int]) -> None:
        self.total = 0
        self._limit = limit
        self._recount = recount
        self._lock = threading.Lock()
        self._writing = 0
        self._abandoned = 0
        self._recounted_at = -_RECOUNT_SECONDS

    def is_empty(self) -> bool:
        """Whether there are none, so that `refresh` would do nothing."""
        return not self._abandoned

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self._abandoned += 1
            self.total += 1

    def refresh(self) -> None:
        """Ask the server how many are left, unless it was asked a moment ago."""
        with self._lock:
            now = time.monotonic()
            if not self._abandoned or now - self._recounted_at < _RECOUNT_SECONDS:
                return
            self._recounted_at = now
        waiting = self._recount()
        with self._lock:
            # The server's number includes the commits of other workers.
            self._abandoned = min(self._abandoned, waiting)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Count a writing transaction. Raises DatabaseUnavailable if it would exceed the limit."""
        with self._lock:
            if self._abandoned and self._abandoned + self._writing >= self._limit:
                raise DatabaseUnavailable("too many commits wait for a standby")
            self._writing += 1
        try:
            yield
        finally:
            with self._lock:
                self._writing -= 1
