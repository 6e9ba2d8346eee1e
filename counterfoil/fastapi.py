"""Dependencies of the routes of a FastAPI application: the caller's identity, scopes and roles.

    app = FastAPI()
    Counterfoil(app, url="https://auth.example.org", api_key="cfk_...")   # or
    Counterfoil(app, database_url="postgresql://...")

    @app.get("/orders")
    async def list_orders(identity: Annotated[Identity, requires("orders:read")]) -> Orders: ...

`CurrentIdentity`, `OptionalIdentity`, `requires("scope")`, `requires_role("admin")`, `fresh()` and
`second_factor()` are each a single dependency, because each link of a chain costs about a sixth of
the request.
"""

import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, FastAPI, Response, Security, WebSocket
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase
from fastapi.websockets import WebSocketState

from counterfoil import acting, modes, permissions, problems, rejections
from counterfoil.arguments import several
from counterfoil.authenticator import (
    API_KEY_HEADERS,
    AUTHENTICATOR,
    RESOLVED,
    Authenticator,
)
from counterfoil.cookies import SessionCookie
from counterfoil.description import describe_security
from counterfoil.errors import (
    CounterfoilError,
    NotAuthenticated,
    SessionRequired,
    Unavailable,
)
from counterfoil.identity import Identity

SCHEME_NAME = "Bearer"


class Counterfoil:
    """Checks the tokens that an application receives, at each request.

    With `url` and `api_key` the service is asked (RFC 7662): the key needs the scope `introspect`.
    With `database_url` the service's database is. Standbys of it, at `standby_urls`, answer in its
    place, and as freshly; `fencing_seconds` has to be what COUNTERFOIL_FENCING_SECONDS is there.
    `prepared_statements=False` is for PgBouncer in transaction mode, where sessions are shared with
    others. `deadline_seconds` is how long a request may wait for that in all: after it, the
    response is 503. Rejected credentials get the same response as from the service; nothing else of
    the application changes. `token_url` is where the Authorize button of the application's
    documentation logs in, if its browser reaches that.

    `max_staleness_seconds` accepts an answer of the service for so long, and with it that a
    revocation holds only after that time. `session_cookie=SessionCookie()` also accepts the cookie
    of a single-page application on the same host. Has to be called once, before the application
    starts. Raises ValueError for that, and for a wrong configuration.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        url: str | None = None,
        api_key: str | None = None,
        database_url: str | None = None,
        standby_urls: Sequence[str] = (),
        prepared_statements: bool = True,
        fencing_seconds: float = 0.0,
        deadline_seconds: float = modes.DEADLINE_SECONDS,
        max_connections: int = modes.MAX_CONNECTIONS,
        max_staleness_seconds: float = 0.0,
        ssl_context: ssl.SSLContext | None = None,
        foreign_tokens_until: date | None = None,
        api_key_headers: Iterable[str] = API_KEY_HEADERS,
        session_cookie: SessionCookie | None = None,
        token_url: str | None = None,
    ) -> None:
        self._resolver = modes.choose(
            url=url,
            api_key=api_key,
            database_url=database_url,
            standby_urls=standby_urls,
            prepared_statements=prepared_statements,
            fencing_seconds=fencing_seconds,
            deadline_seconds=deadline_seconds,
            max_connections=max_connections,
            max_staleness_seconds=max_staleness_seconds,
            ssl_context=ssl_context,
            foreign_tokens_until=foreign_tokens_until,
        )
        headers = several("api_key_headers", api_key_headers)
        authenticator = Authenticator(
            self._resolver,
            api_key_headers=headers,
            cookie=session_cookie,
            takes_foreign=foreign_tokens_until is not None,
        )
        demand_unused(app)
        install(app, authenticator)
        describe_security(
            app,
            SCHEME_NAME,
            api_key_headers=headers,
            token_url=token_url,
            takes_cookie=session_cookie is not None,
        )
        for error in (CounterfoilError, Unavailable):
            # One for requests and WebSockets, which Starlette's types do not know.
            app.exception_handlers.setdefault(error, _answer)  # type: ignore[arg-type]
        self._lifespan = app.router.lifespan_context
        app.router.lifespan_context = self._run

    @asynccontextmanager
    async def _run(self, app: FastAPI) -> AsyncIterator[Any]:
        """The application's own lifespan. Without one, the first token connects."""
        self._resolver.start()
        try:
            async with self._lifespan(app) as state:
                yield state
        finally:
            await self._resolver.close()


def demand_unused(app: FastAPI) -> None:
    """Raises ValueError if the tokens of this application are checked already, or it has started.

    Starlette takes no handlers for errors then.
    """
    if hasattr(app.state, "counterfoil"):
        raise ValueError("Counterfoil checks the tokens of this application already")
    if app.middleware_stack is not None:
        raise ValueError("Counterfoil has to be added before the application starts")


def install(app: FastAPI, authenticator: Authenticator) -> None:
    """Let the dependencies below use this authenticator in this application."""
    app.state.counterfoil = authenticator


class SecondFactor(NamedTuple):
    """That a second factor is required. `seconds` is how long ago it may have been given."""

    seconds: int | None = None


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
        second_factor: SecondFactor | None = None,
    ) -> None:
        self.scopes = scopes
        self.roles = roles
        self.session_only = session_only
        self.fresh_seconds = fresh_seconds
        self.second_factor = second_factor
        # What was confirmed a moment ago must not be judged by an answer from before.
        self._anew = fresh_seconds is not None or second_factor is not None

    async def __call__(self, request: HTTPConnection) -> Identity:
        """Raises NotAuthenticated, InvalidToken and the other errors of counterfoil/errors.py."""
        identity = await authenticate(request, anew=self._anew)
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
        if self.second_factor is not None:
            permissions.demand_second_factor(
                identity.second_factor_at,
                identity.looked_up_at,
                seconds=self.second_factor.seconds,
            )
        return identity


class OptionalIdentityDependency(SecurityBase):
    """The caller's identity, or None if no credential was sent. An invalid one is rejected."""

    model = IdentityDependency.model
    scheme_name = SCHEME_NAME

    async def __call__(self, request: HTTPConnection) -> Identity | None:
        return await authenticate(request)


async def authenticate(request: HTTPConnection, *, anew: bool = False) -> Identity | None:
    """The identity behind the request's credential. None if none was sent.

    Raises InvalidToken, AmbiguousCredentials, Unavailable. `anew` accepts no stale answer.
    """
    scope = request.scope
    if acting.entries and (identity := acting.find(scope["app"])) is not None:
        scope[RESOLVED] = identity
        return identity
    authenticator: Authenticator = scope.get(AUTHENTICATOR) or _authenticator_of(scope["app"])
    return await authenticator.authenticate(scope, anew=anew)


def _authenticator_of(app: FastAPI) -> Any:
    try:
        return app.state.counterfoil
    except AttributeError:
        raise LookupError(
            f"the application {app.title!r} has no Counterfoil: one that is mounted needs its own"
        ) from None


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
    """A dependency that requires a session's user to have confirmed who they are recently.

    By their second factor, if they have one, or else by their password. Without, 401
    `insufficient_user_authentication` (RFC 9470): `POST /sessions/confirm`, or a new login, makes a
    session fresh. An API key passes, because nobody can confirm it.
    """
    return Depends(IdentityDependency(fresh_seconds=seconds))


def second_factor(seconds: int | None = None) -> Any:
    """A dependency that requires a second factor, given in this session, or so recently.

    Without, 401 `insufficient_user_authentication` with `acr_values` (RFC 9470). An API key is
    rejected by 403 `session_required`: it may have been made without a second factor.
    """
    return Depends(IdentityDependency(session_only=True, second_factor=SecondFactor(seconds)))


async def _answer(request: HTTPConnection, error: Exception) -> Response | None:
    """The answer to any error of counterfoil/errors.py, also to the opening of a WebSocket."""
    assert isinstance(error, CounterfoilError | Unavailable)  # noqa: S101 - registered for no other
    if isinstance(request, WebSocket) and not _can_be_denied(request):
        await request.close(rejections.close_code(error))
        return None
    if isinstance(error, Unavailable):
        return problems.unavailable(error)
    return problems.rejected(error)


def _can_be_denied(websocket: WebSocket) -> bool:
    """Whether the server can answer the opening of this WebSocket by an HTTP response."""
    is_opening = websocket.application_state is WebSocketState.CONNECTING
    return is_opening and rejections.DENIAL in (websocket.scope.get("extensions") or {})
