"""The connections by which a worker looks up tokens: few, its own, and never blocking the loop.

A carrier takes one batch of digests for each of its connections at a time. The resolver above it
decides who shares a batch; see docs/decisions/ for why it is built this way.
"""

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Protocol

from database.lookup.postgresql import PostgreSQLLookup
from database.lookup.sqlite import SQLiteLookup
from database.queries.credentials import CredentialKind, LiveCredential
from database.settings import DatabaseSettings

# A larger batch makes PostgreSQL prefer a scan of `users` to its index.
MAX_BATCH = 64


class Lookup(Protocol):
    """What both databases offer."""

    on_free: Callable[[], None]
    """Called on the event loop when a connection has become free, or has been replaced."""

    async def open(self) -> None:
        """Connect. A server that cannot be reached now is connected to as soon as it can be."""

    def is_free(self) -> bool:
        """Whether a batch can be sent right now."""

    def is_down(self) -> bool:
        """Whether waiting is pointless: no connection could be made for a whole deadline."""

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> "Future[list[LiveCredential]]":
        """Send one batch. The future fails with DatabaseUnavailable at the deadline, or before."""

    async def close(self) -> None:
        """Close every connection; what is in flight fails."""


def open_lookup(settings: DatabaseSettings) -> Lookup:
    """The carrier for the database in the settings, not yet connected."""
    if settings.url.get_backend_name() == "sqlite":
        return SQLiteLookup(settings)
    return PostgreSQLLookup(settings)
