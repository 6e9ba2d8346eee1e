"""The connections for token lookups: few for each process, and without blocking the event loop.

A lookup takes one batch of digests for each of its connections at a time. The resolver above it
decides who shares a batch; see docs/decisions/0001 for why it is built this way.
"""

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Protocol

from counterfoil.identity import CredentialKind, LiveCredential

# A larger batch makes PostgreSQL prefer a scan of `users` to its index.
MAX_BATCH = 64


class Lookup(Protocol):
    """The interface for both databases."""

    on_free: Callable[[], None]
    """Called on the event loop when a connection has become free, or has been replaced."""

    async def open(self) -> None:
        """Connect. If the server cannot be reached, this is retried in the background."""

    def is_free(self) -> bool:
        """Whether a batch can be sent right now."""

    def is_down(self) -> bool:
        """Whether no connection could be made for as long as the deadline."""

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> "Future[list[LiveCredential]]":
        """Send one batch. The future fails with DatabaseUnavailable at the deadline, or before."""

    async def close(self) -> None:
        """Close every connection; what is in flight fails."""


def from_url(database_url: str, *, deadline_seconds: float) -> Lookup:
    """The lookup for a database URL, `postgresql://...` or `sqlite:///file.db`, not yet connected.

    Raises ValueError for any other, and for one that would take a standby. A driver that the URL
    names ("postgresql+asyncpg") is ignored.
    """
    scheme, _, rest = database_url.partition("://")
    # Imported where they are needed: only one of the drivers has to be installed.
    match scheme.partition("+")[0]:
        case "postgresql" | "postgres":
            from psycopg2.extensions import parse_dsn

            from counterfoil.lookup.postgresql import PostgreSQLLookup
            from counterfoil.lookup.server import reject_standbys

            options = parse_dsn(f"postgresql://{rest}")
            reject_standbys(options)
            return PostgreSQLLookup(options, deadline_seconds=deadline_seconds)
        case "sqlite":
            from counterfoil.lookup.sqlite import SQLiteLookup

            path = rest.partition("?")[0].removeprefix("/")
            return SQLiteLookup(path, deadline_seconds=deadline_seconds)
    raise ValueError("the database URL must begin with postgresql:// or sqlite:///")
