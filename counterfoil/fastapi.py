"""Dependencies of the routes of a FastAPI application: the caller's identity, scopes and roles.

    app = FastAPI()
    Counterfoil(app, database_url="postgresql://...")

    @app.get("/orders")
    async def list_orders(identity: Annotated[Identity, requires("orders:read")]) -> Orders: ...

`CurrentIdentity`, `OptionalIdentity`, `requires("scope")`, `requires_role("admin")` and `fresh()`
are each a single dependency, because each link of a chain costs about a sixth of the request.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from counterfoil import lookup, permissions, problems
from counterfoil.authenticator import API_KEY_HEADERS, Authenticator
from counterfoil.cookies import SessionCookie
from counterfoil.errors import (
    CounterfoilError,
    DatabaseUnavailable,
    NotAuthenticated,
    SessionRequired,
)
from counterfoil.identity import Identity
from counterfoil.resolver import Resolver

SCHEME_NAME = "Bearer"


class Counterfoil:
    """Checks the tokens that an application receives, in the service's database, at each request.

    `deadline_seconds` is how long a request may wait for that: after it, the response is 503.
    `session_cookie=SessionCookie()` also accepts the cookie of a single-page application.
    Rejected credentials get the same response as from the service; nothing else of the application
    changes. Raises ValueError for a URL of another database than PostgreSQL or SQLite.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        database_url: str,
        deadline_seconds: float = 3.0,
        api_key_headers: Iterable[str] = API_KEY_HEADERS,
        session_cookie: SessionCookie | None = None,
    ) -> None:
        self._resolver = Resolver(
            lookup.from_url(database_url, deadline_seconds=deadline_seconds),
            deadline_seconds=deadline_seconds,
        )
        authenticator = Authenticator(
            self._resolver, api_key_headers=api_key_headers, cookie=session_cookie
        )
        install(app, authenticator)
        for error in problems.STATUSES:
            app.add_exception_handler(error, _rejected)
        app.add_exception_handler(DatabaseUnavailable, _unavailable)
        self._lifespan = app.router.lifespan_context
        app.router.lifespan_context = self._run

    @asynccontextmanager
    async def _run(self, app: FastAPI) -> AsyncIterator[Any]:
        """The application's own lifespan, inside of which tokens can be looked up."""
        await self._resolver.open()
        try:
            async with self._lifespan(app) as state:
                yield state
        finally:
            await self._resolver.close()


def install(app: FastAPI, authenticator: Authenticator) -> None:
    """Let the dependencies below use this authenticator in this application."""
    app.state.counterfoil = authenticator


class IdentityDependency(SecurityBase):
    """Resolves the caller's credential and checks everything that the route requires of it."""

    model = HTTPBearer()
    scheme_name = SCHEME_NAME

    def __init__(
        self,
        *,
        scopes: frozenset[str] = frozenset(),
        roles: frozenset[str] = frozenset(),
        session_only: bool = False,
        fresh_seconds: int | None = None,
    ) -> None:
        self.scopes = scopes
        self.roles = roles
        self.session_only = session_only
        self.fresh_seconds = fresh_seconds

    async def __call__(self, request: Request) -> Identity:
        """Raises NotAuthenticated, InvalidToken and the other errors of counterfoil/errors.py."""
        identity = await authenticate(request)
        if identity is None:
            raise NotAuthenticated
        if self.session_only and identity.session_id is None:
            raise SessionRequired
        if self.scopes:
            permissions.demand_scopes(identity.scopes, self.scopes)
        if self.roles:
            permissions.demand_role(identity.roles, self.roles)
        if self.fresh_seconds is not None and identity.session_id is not None:
            permissions.demand_fresh(
                identity.confirmed_at, identity.looked_up_at, seconds=self.fresh_seconds
            )
        return identity


class OptionalIdentityDependency(SecurityBase):
    """The caller's identity, or None if no credential was sent. An invalid one is rejected."""

    model = IdentityDependency.model
    scheme_name = SCHEME_NAME

    async def __call__(self, request: Request) -> Identity | None:
        return await authenticate(request)


async def authenticate(request: Request) -> Identity | None:
    """The identity behind the request's credential. None if none was sent.

    Raises InvalidToken, AmbiguousCredentials, DatabaseUnavailable.
    """
    authenticator: Authenticator = request.scope["app"].state.counterfoil
    return await authenticator.authenticate(request.scope)


get_identity = IdentityDependency()
get_optional_identity = OptionalIdentityDependency()

CurrentIdentity = Annotated[Identity, Depends(get_identity)]
OptionalIdentity = Annotated[Identity | None, Depends(get_optional_identity)]


def requires(*scopes: str) -> Any:
    """A dependency that requires all these scopes: 403 `insufficient_scope` without them.

    Use it as `identity: Annotated[Identity, requires("orders:read")]` or in a route's
    `dependencies=[requires("orders:read")]`.
    """
    # Named twice: the dependency checks them, and FastAPI lists them in the OpenAPI description.
    return Security(IdentityDependency(scopes=frozenset(scopes)), scopes=scopes)


def requires_role(*roles: str) -> Any:
    """A dependency that requires one of these roles: 403 `insufficient_role` without."""
    return Depends(IdentityDependency(roles=frozenset(roles)))


def fresh(seconds: int = 300) -> Any:
    """A dependency that requires the password of a session's user to have been given recently.

    Without, 401 `insufficient_user_authentication` (RFC 9470): `POST /sessions/confirm`, or a new
    login, makes a session fresh. An API key passes, because nobody can confirm it.
    """
    return Depends(IdentityDependency(fresh_seconds=seconds))


async def _rejected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, CounterfoilError)  # noqa: S101 - registered for no other
    return problems.rejected(error)


async def _unavailable(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, DatabaseUnavailable)  # noqa: S101 - registered for no other
    return problems.unavailable(error)
