"""Where metrics learn what happens in the service."""

from collections.abc import Mapping
from typing import Any

from authentication.audit import Event
from counterfoil.lookup.marks import Outcome


class Instrumentation:
    """Does nothing by itself; metrics override what they count.

    The methods are called on the event loop and in threads, so they must neither block nor raise.
    Times are in seconds.
    """

    def lookup_finished(self, *, tokens: int, seconds: float, failed: bool) -> None:
        """One query for so many tokens has been answered, or has failed."""

    def batch_finished(self, *, server: str, outcome: Outcome) -> None:
        """A server has answered a batch, or has failed. Called only where there are standbys."""

    def mark_finished(self, *, seconds: float, reign: int) -> None:
        """The primary has given a mark for a standby."""

    def hashing_queued(self) -> None:
        """A password has been put into the queue."""

    def hashing_started(self, *, waited: float) -> None:
        """A password has been taken out of the queue to be hashed."""

    def hashing_finished(self, *, seconds: float) -> None:
        """A password has been hashed."""

    def hashing_abandoned(self) -> None:
        """A password has been taken out of the queue unhashed, as its client has disconnected."""

    def hashing_rejected(self) -> None:
        """A password was not hashed: the queue was full, or the deadline has passed."""

    def event_committed(self, event: Event, detail: Mapping[str, Any]) -> None:
        """An audit event has been committed: a login, a refresh, a revocation and so on."""

    def last_used_written(self, *, credentials: int, lag: float) -> None:
        """The times of last use of so many credentials have been written.

        `lag` is the time since the oldest of these uses.
        """

    def last_used_dropped(self, *, credentials: int) -> None:
        """The times of last use of so many credentials could not be written, and are lost."""

    def rows_pruned(self, table: str, rows: int) -> None:
        """Rows that could no longer be used have been removed."""

    def mail_finished(self, kind: str, outcome: str) -> None:
        """A mail has been `sent`, is to be `retried`, or has `failed` for good."""

    def mails_waiting(self, number: int) -> None:
        """So many mails wait in the outbox, those of all workers together."""


class NullInstrumentation(Instrumentation):
    """For a service without metrics."""
