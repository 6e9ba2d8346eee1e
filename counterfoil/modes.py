"""Chooses where an application's tokens are checked: at the service, or in its database."""

import asyncio
import math
import ssl
from collections.abc import Callable, Sequence
from datetime import date

from counterfoil import lookup, tokens
from counterfoil.foreign_tokens import ForeignTokens
from counterfoil.identity import Identity, SessionKind
from counterfoil.resolver import Resolver, TokenResolver
from counterfoil.tokens import TokenKind

DEADLINE_SECONDS = 3.0
MAX_CONNECTIONS = 10


class OnDemandResolver:
    """A resolver for each event loop that asks for one, started when it first asks.

    An application whose lifespan is not run, or that is used by several event loops one after the
    other, as in tests, needs nothing else.
    """

    def __init__(
        self, create: Callable[[], TokenResolver], *, max_staleness_seconds: float
    ) -> None:
        self.max_staleness_seconds = max_staleness_seconds
        self._create = create
        self._started: dict[asyncio.AbstractEventLoop, TokenResolver] = {}

    def start(self) -> None:
        """Connect in the background, on the running event loop."""
        self._current()

    async def resolve(
        self, token: str, *, session_kind: SessionKind = SessionKind.API, anew: bool = False
    ) -> Identity | None:
        """The identity behind a token, if it is live. Raises Unavailable past the deadline."""
        return await self._current().resolve(token, session_kind=session_kind, anew=anew)

    async def close(self) -> None:
        """Disconnect. The next token connects again."""
        resolver = self._started.pop(asyncio.get_running_loop(), None)
        if resolver is not None:
            await resolver.close()

    def _current(self) -> TokenResolver:
        loop = asyncio.get_running_loop()
        found = self._started.get(loop)
        return found if found is not None else self._start_on(loop)

    def _start_on(self, loop: asyncio.AbstractEventLoop) -> TokenResolver:
        # What belongs to a closed loop can no longer be closed, only be forgotten.
        for other in [one for one in self._started if one.is_closed()]:
            del self._started[other]
        resolver = self._create()
        resolver.start()
        self._started[loop] = resolver
        return resolver


def choose(
    *,
    url: str | None,
    api_key: str | None,
    database_url: str | None,
    standby_urls: Sequence[str],
    prepared_statements: bool,
    fencing_seconds: float,
    deadline_seconds: float,
    max_connections: int,
    max_staleness_seconds: float,
    ssl_context: ssl.SSLContext | None,
    foreign_tokens_until: date | None,
) -> OnDemandResolver:
    """The resolver for one of the two modes. Raises ValueError unless exactly one is configured."""
    if (url is None) == (database_url is None):
        raise ValueError("give either url and api_key, or database_url")
    if not 0 < deadline_seconds < math.inf:
        raise ValueError("deadline_seconds must be a positive number")
    if not 0 <= fencing_seconds < math.inf:
        raise ValueError("fencing_seconds must not be negative")
    foreign = ForeignTokens(foreign_tokens_until)
    if database_url is not None:
        if api_key is not None or max_staleness_seconds or ssl_context is not None:
            raise ValueError(
                "api_key, max_staleness_seconds and ssl_context belong to url, not to database_url"
            )
        return _by_database(
            database_url,
            standby_urls,
            foreign,
            prepared_statements=prepared_statements,
            fencing_seconds=fencing_seconds,
            deadline_seconds=deadline_seconds,
        )
    if standby_urls or fencing_seconds or not prepared_statements:
        raise ValueError(
            "standby_urls, fencing_seconds and prepared_statements belong to database_url"
        )
    assert url is not None  # noqa: S101 - for the type checker
    if not 0 <= max_staleness_seconds < math.inf or max_connections < 1:
        raise ValueError("max_staleness_seconds and max_connections must not be negative or none")
    return _by_introspection(
        url, api_key, deadline_seconds, max_connections, max_staleness_seconds, ssl_context, foreign
    )


def _by_database(
    database_url: str,
    standby_urls: Sequence[str],
    foreign: ForeignTokens,
    *,
    prepared_statements: bool,
    fencing_seconds: float,
    deadline_seconds: float,
) -> OnDemandResolver:
    def create() -> TokenResolver:
        connections = lookup.from_url(
            database_url,
            standby_urls=standby_urls,
            prepared_statements=prepared_statements,
            fencing_seconds=fencing_seconds,
            deadline_seconds=deadline_seconds,
        )
        return Resolver(connections, deadline_seconds=deadline_seconds, foreign=foreign)

    # A wrong URL is an error of the configuration, and so is a driver that is not installed.
    create()
    return OnDemandResolver(create, max_staleness_seconds=0.0)


def _by_introspection(
    url: str,
    api_key: str | None,
    deadline_seconds: float,
    max_connections: int,
    max_staleness_seconds: float,
    ssl_context: ssl.SSLContext | None,
    foreign: ForeignTokens,
) -> OnDemandResolver:
    # Imported where it is needed: an application that asks the database needs no HTTP client.
    from counterfoil.introspection import endpoint
    from counterfoil.introspection.introspector import Introspector

    key = tokens.strip(api_key or "")
    if tokens.kind_of(key) is not TokenKind.API_KEY:
        raise ValueError(
            "api_key must be a complete API key (cfk_...) of the service, with the scope introspect"
        )

    address = endpoint.parse(url)
    if address.is_encrypted:
        # The authorities that this machine trusts, and the name in the certificate is checked.
        ssl_context = ssl_context or ssl.create_default_context()
    elif ssl_context is not None:
        raise ValueError("an ssl_context is for an url that begins with https://")

    def create() -> TokenResolver:
        return Introspector(
            address,
            key,
            deadline_seconds=deadline_seconds,
            connections=max_connections,
            max_staleness_seconds=max_staleness_seconds,
            ssl_context=ssl_context,
            foreign=foreign,
        )

    return OnDemandResolver(create, max_staleness_seconds=max_staleness_seconds)
