"""Puts the service into another FastAPI application, whose own routes stay as they are.

The service is mounted below a prefix with its middleware, limits and error responses, all of which
end there. The application gets the lifespan of the service around its own, and responses to
rejected credentials: handlers for the errors of `counterfoil` and for no others.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from api import errors
from api.application import create_app, make_authenticator
from api.not_started import NOT_STARTED
from api.request.prefix import METADATA_PATH
from api.settings import Settings, load
from counterfoil import fastapi as counterfoil
from counterfoil.description import describe_security
from counterfoil.errors import CounterfoilError, Unavailable

# Of characters that need no encoding, and without segments that clients resolve.
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")


def attach(app: FastAPI, prefix: str = "/auth", *, settings: Settings | None = None) -> None:
    """Serve the service below `prefix`, and let the routes of `app` use `CurrentIdentity`.

    Has to be called before the application starts. Its routes may be added before or after, but
    none below the prefix. Takes the settings of the environment unless others are given; the issuer
    gets the prefix as the end of its path unless it has it already.

    Raises ValueError for a prefix that cannot be used and for a second call, and InvalidSettings.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is no prefix like '/auth', without a slash at its end")
    counterfoil.demand_unused(app)
    _Attachment(app, prefix, settings or load()).install()


class _Attachment:
    def __init__(self, app: FastAPI, prefix: str, settings: Settings) -> None:
        self._app = app
        self._prefix = prefix
        self._service = create_app(_below(prefix, settings), is_attached=True)
        # Before the start and after the end: only a request with a token is answered by 503.
        self._idle = make_authenticator(self._service, NOT_STARTED)
        self._mount = Mount(prefix, app=self._service, name="counterfoil")

    def install(self) -> None:
        app = self._app
        counterfoil.install(app, self._idle)
        # First, because a route for every path would hide it otherwise.
        app.router.routes[:0] = [self._mount, self._metadata_route()]
        self._describe()
        handlers: dict[Any, Any] = {
            CounterfoilError: self._rejected,
            Unavailable: self._unavailable,
        }
        for error, handler in handlers.items():
            app.exception_handlers.setdefault(error, handler)
        self._lifespan = app.router.lifespan_context
        app.router.lifespan_context = self._run

    def _describe(self) -> None:
        """Have the application's own description say how its routes accept credentials."""
        settings = self._service.state.settings
        has_login = settings.authentication.password_grant
        describe_security(
            self._app,
            counterfoil.SCHEME_NAME,
            api_key_headers=settings.api.api_key_headers,
            token_url=f"{settings.api.issuer}/token" if has_login else None,
            takes_cookie=settings.api.browser_sessions,
        )

    def _metadata_route(self) -> Route:
        """Where an issuer has a path, its metadata are not below it (RFC 8414, 3.1)."""
        path = urlsplit(self._service.state.settings.api.issuer).path
        return Route(METADATA_PATH + path, _Forward(self._service), name="counterfoil_metadata")

    @asynccontextmanager
    async def _run(self, app: FastAPI) -> AsyncIterator[Any]:
        """The application's own lifespan, inside of which tokens can be looked up."""
        self._check_routes()
        service = self._service
        async with service.router.lifespan_context(service):
            counterfoil.install(app, service.state.counterfoil)
            try:
                async with self._lifespan(app) as state:
                    yield state
            finally:
                counterfoil.install(app, self._idle)

    def _check_routes(self) -> None:
        """Raises ValueError for a route of the application that the prefix hides."""
        for route in iter_route_contexts(self._app.router.routes):
            is_ours = route.original_route is self._mount
            if not is_ours and f"{route.path}/".startswith(f"{self._prefix}/"):
                raise ValueError(
                    f"the route {route.path!r} of the application is hidden by Counterfoil at "
                    f"{self._prefix!r}: attach it with another prefix"
                )

    async def _rejected(self, request: Request, error: CounterfoilError) -> Response:
        return await errors.rejected(self._as_ours(request), error)

    async def _unavailable(self, request: Request, error: Unavailable) -> Response:
        return await errors.unavailable(self._as_ours(request), error)

    def _as_ours(self, request: Request) -> Request:
        """The request as the service sees it, which records who lacked a scope."""
        return Request({**request.scope, "app": self._service})


class _Forward:
    """An ASGI application that passes a request of the application on to the service as it is."""

    def __init__(self, service: FastAPI) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._service(scope, receive, send)


def _below(prefix: str, settings: Settings) -> Settings:
    """The settings with the issuer below the prefix."""
    issuer = settings.api.issuer
    if urlsplit(issuer).path.endswith(prefix):
        return settings
    return settings._replace(api=settings.api.model_copy(update={"issuer": issuer + prefix}))
