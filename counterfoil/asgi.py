"""Middleware for Starlette and every other ASGI framework: who sent the request, in its scope.

    app.add_middleware(CounterfoilMiddleware, url="https://auth.example.org", api_key="cfk_...")

    async def list_orders(request):
        identity = require(request.scope, scopes={"orders:read"})

It rejects a credential that is not live, and passes on a request without any. Needs no framework.
A framework that makes a 500 of every exception, as Starlette does, has to have it inside of that.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from datetime import date
from typing import Any

from counterfoil import acting, modes, permissions, rejections
from counterfoil.arguments import several
from counterfoil.authenticator import (
    API_KEY_HEADERS,
    AUTHENTICATOR,
    RESOLVED,
    Authenticator,
    Scope,
)
from counterfoil.cookies import SessionCookie
from counterfoil.errors import (
    CounterfoilError,
    NotAuthenticated,
    SessionRequired,
    Unavailable,
)
from counterfoil.identity import Identity

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_STARTS = frozenset(
    {"http.response.start", "websocket.accept", "websocket.close", f"{rejections.DENIAL}.start"}
)
_STOPPED = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})


class CounterfoilMiddleware:
    """Checks the token of each HTTP request and WebSocket. The options are those of Counterfoil.

    The identity is at `scope["counterfoil.identity"]`, None without a credential; `find_identity`
    and `require` read it. Errors of counterfoil/errors.py that the application raises, before its
    response has begun, are answered as by the service. Connects when the application's lifespan
    starts, or with the first token where none is run.
    """

    def __init__(
        self,
        app: Application,
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
    ) -> None:
        self.app = app
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
        self._authenticator = Authenticator(
            self._resolver,
            api_key_headers=api_key_headers,
            cookie=session_cookie,
            takes_foreign=foreign_tokens_until is not None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            await self._respond(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def send_on(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] in _STARTS
            await send(message)

        try:
            await self._identify(scope)
            await self.app(scope, receive, send_on)
        except (CounterfoilError, Unavailable) as error:
            if has_started:
                raise
            await reject(error, scope, send)

    async def _identify(self, scope: Scope) -> None:
        if acting.entries:
            found = acting.find(self) or acting.find(scope.get("app"))
            if found is not None:
                scope[RESOLVED] = found
                return
        scope[AUTHENTICATOR] = self._authenticator
        await self._authenticator.authenticate(scope)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the lifespan on, and disconnect before the server is told that it is over."""

        async def receive_and_start() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._resolver.start()
            return message

        async def close_and_send(message: Message) -> None:
            if message["type"] in _STOPPED:
                await self._resolver.close()
            await send(message)

        await self.app(scope, receive_and_start, close_and_send)


def find_identity(scope: Scope) -> Identity | None:
    """Who sent the request, or None if no credential was sent.

    Raises LookupError if the middleware is not installed.
    """
    if RESOLVED not in scope:
        raise LookupError("CounterfoilMiddleware has not seen this request")
    identity: Identity | None = scope[RESOLVED]
    return identity


def require(scope: Scope, *, scopes: Iterable[str] = (), roles: Iterable[str] = ()) -> Identity:
    """Who sent the request, with all of these scopes and one of these roles.

    Raises NotAuthenticated, InsufficientScope or InsufficientRole, which the middleware answers.
    """
    identity = find_identity(scope)
    if identity is None:
        raise NotAuthenticated
    permissions.demand_scopes(identity.scopes, frozenset(several("scopes", scopes)))
    permissions.demand_role(identity.roles, frozenset(several("roles", roles)))
    return identity


async def require_fresh(scope: Scope, seconds: int = 300) -> Identity:
    """The same for what needs a user who has confirmed who they are recently.

    An API key passes, because nobody can confirm it. Raises InsufficientUserAuthentication. No
    stale answer is accepted.
    """
    identity = await _require_anew(scope)
    if identity.session_id is not None:
        permissions.demand_fresh(identity.confirmed_at, identity.looked_up_at, seconds=seconds)
    return identity


async def require_second_factor(scope: Scope, seconds: int | None = None) -> Identity:
    """The same for what needs a second factor, given in this session, or so recently.

    An API key does not pass. Raises SessionRequired, InsufficientUserAuthentication.
    """
    identity = await _require_anew(scope)
    if identity.session_id is None:
        raise SessionRequired
    permissions.demand_second_factor(
        identity.second_factor_at, identity.looked_up_at, seconds=seconds
    )
    return identity


async def _require_anew(scope: Scope) -> Identity:
    authenticator: Authenticator | None = scope.get(AUTHENTICATOR)
    # There is none while a test acts as somebody.
    if authenticator is not None:
        await authenticator.authenticate(scope, anew=True)
    return require(scope)


async def reject(error: CounterfoilError | Unavailable, scope: Scope, send: Send) -> None:
    """Answer a request, or the opening of a WebSocket, by this error."""
    if isinstance(error, Unavailable):
        rejections.log_unavailable(error)
    prefix = ""
    if scope["type"] == "websocket":
        if rejections.DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": rejections.close_code(error)})
            return
        prefix = "websocket."
    answer = rejections.to(error)
    body = answer.body.encode()
    headers = {**answer.headers, "Content-Type": rejections.MEDIA_TYPE}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    start = {"type": f"{prefix}http.response.start", "status": int(answer.status), "headers": raw}
    await send(start)
    await send({"type": f"{prefix}http.response.body", "body": body})
