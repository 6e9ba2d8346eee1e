"""The connections for token lookups: few for each process, and without blocking the event loop.

A lookup takes one batch of digests for each of its connections at a time. The resolver above it
decides who shares a batch; see docs/decisions/0001 for why it is built this way.
"""

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, Protocol

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


def from_url(
    database_url: str,
    *,
    deadline_seconds: float,
    standby_urls: Sequence[str] = (),
    prepared_statements: bool = True,
    fencing_seconds: float = 0.0,
) -> Lookup:
    """The lookup for a database URL, `postgresql://...` or `sqlite:///file.db`, not yet connected.

    `standby_urls` are those of standbys that answer in place of the primary. With
    `fencing_seconds`, nothing is answered by a primary that may have been replaced. Raises
    ValueError for any other URL, and for one that would take a standby for the primary. A driver
    that the URL names ("postgresql+asyncpg") is ignored.
    """
    scheme, _, rest = database_url.partition("://")
    # Imported where they are needed: only one of the drivers has to be installed.
    match scheme.partition("+")[0]:
        case "postgresql" | "postgres":
            return _for_postgresql(
                database_url,
                standby_urls,
                fencing_seconds,
                deadline_seconds=deadline_seconds,
                prepared_statements=prepared_statements,
            )
        case "sqlite" if not (standby_urls or fencing_seconds):
            from counterfoil.lookup.sqlite import SQLiteLookup

            path = rest.partition("?")[0].removeprefix("/")
            return SQLiteLookup(path, deadline_seconds=deadline_seconds)
        case "sqlite":
            raise ValueError("SQLite has no standbys")
    raise ValueError("the database URL must begin with postgresql:// or sqlite:///")


def _for_postgresql(
    database_url: str, standby_urls: Sequence[str], fencing_seconds: float, **how: Any
) -> Lookup:
    from counterfoil.lookup import server
    from counterfoil.lookup.postgresql import PostgreSQLLookup
    from counterfoil.lookup.replicated import ReplicatedLookup

    options = _options_of(database_url)
    server.reject_standbys(options)
    if not (standby_urls or fencing_seconds):
        return PostgreSQLLookup(options, **how)
    standbys = [_options_of(url) for url in standby_urls]
    for standby in standbys:
        server.reject_unless_standby(standby)
    return ReplicatedLookup(options, standbys, fencing_seconds=fencing_seconds, **how)


def _options_of(url: str) -> "dict[str, str]":
    from psycopg2.extensions import parse_dsn

    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ValueError("the URL of a standby must begin with postgresql://")
    options: dict[str, str] = parse_dsn(f"postgresql://{_with_spaces(rest)}")
    return options


def _with_spaces(rest: str) -> str:
    """What follows the scheme, read as the service reads it: in the query, "+" is a space.

    SQLAlchemy writes it so, and libpq takes it for a plus sign.
    """
    credentials, at, place = rest.rpartition("@")
    place, mark, query = place.partition("?")
    return credentials + at + place + mark + query.replace("+", "%20")
