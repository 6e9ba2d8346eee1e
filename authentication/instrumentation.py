"""Tells whoever watches the service what happens in it. By default nobody does."""

from collections.abc import Mapping
from typing import Any

from authentication.audit import Event


class Observer:
    """Forgets all it is told; metrics override what they count.

    It is called on the event loop and in threads, so it must neither wait nor raise. Times are in
    seconds.
    """

    def looked_up(self, *, tokens: int, seconds: float, failed: bool) -> None:
        """One query for so many tokens has been answered, or has failed."""

    def hashing_queued(self) -> None:
        """A password has been put into the queue."""

    def hashing_began(self, *, waited: float) -> None:
        """It has been taken out of the queue."""

    def hashed(self, *, seconds: float) -> None:
        """It has been hashed."""

    def hashing_given_up(self) -> None:
        """It has been taken out unhashed: nobody waits for it any more."""

    def hashing_refused(self) -> None:
        """The queue was full, or it took too long."""

    def recorded(self, event: Event, detail: Mapping[str, Any]) -> None:
        """An audit event has been committed: a login, a refresh, a revocation and so on."""

    def noted(self, *, credentials: int, lag: float) -> None:
        """Uses have been written, the oldest of them so long after it happened."""

    def not_noted(self, *, credentials: int) -> None:
        """Uses could not be written, and are forgotten."""

    def pruned(self, table: str, rows: int) -> None:
        """Rows that could no longer be used have been removed."""


NOBODY = Observer()
