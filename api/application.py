"""Assembles the FastAPI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Scope

from api import cross_origin, errors, oauth_errors, startup
from api.console import application as console
from api.middleware import EarlyResponseMiddleware, OnEnd, RequestMiddleware
from api.not_started import NOT_STARTED
from api.observability import access_log
from api.observability.logs import AccessLog
from api.observability.metrics import Metrics
from api.observability.telemetry import Telemetry
from api.openapi import description
from api.pages import application as pages
from api.request import client_address
from api.routers import (
    admin,
    admin_accounts,
    admin_exports,
    admin_roles,
    api_keys,
    applications,
    browser_session,
    clients,
    docs,
    factors,
    forward_auth,
    health,
    introspection,
    mail,
    metrics,
    oauth,
    passkeys,
    sessions,
    start,
    tokens,
    users,
)
from api.routing import undeclared
from api.routing.head import answer_head
from api.routing.route_group import RouteGroup
from api.settings import Exposure, Settings, load
from api.web import branding
from authentication.instrumentation import NullInstrumentation
from authentication.service import Service
from counterfoil import __version__
from counterfoil import fastapi as counterfoil
from counterfoil.authenticator import Authenticator
from counterfoil.cookies import SessionCookie
from counterfoil.resolver import TokenResolver
from database.settings import InvalidSettings


class Counterfoil(FastAPI):
    """A FastAPI application whose every response passes through the middleware that is added to it.

    From the outside: our middleware for each request, CORS if the settings name origins, the
    middleware that is added, our early rejections, and what FastAPI makes of exceptions. So
    CORSMiddleware also sees 413, 500 and 503.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._native_telemetry = Telemetry(self._telemetry)

    def build_middleware_stack(self) -> ASGIApp:
        """Called once, when the first request or the start comes in."""
        settings: Settings = self.state.settings
        on_end: list[OnEnd] = []
        if isinstance(self.state.instrumentation, Metrics):
            on_end.append(self.state.instrumentation.on_request)
        if settings.api.access_log:
            log = AccessLog(settings.api.proxy_networks, output=self.state.log_output)
            on_end.append(log.on_request)
        added, self.user_middleware = self.user_middleware, []
        app: ASGIApp = EarlyResponseMiddleware(super().build_middleware_stack())
        self.user_middleware = added
        for middleware in reversed(added):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return RequestMiddleware(
            cross_origin.wrap(app, settings.api),
            last_resort=cross_origin.wrap(errors.respond_unexpected, settings.api),
            max_body_bytes=settings.api.max_body_bytes,
            body_seconds=settings.api.request_body_seconds,
            database_seconds=settings.database.database_deadline_seconds,
            on_end=on_end,
        )


def create_app(settings: Settings | None = None, *, is_attached: bool = False) -> FastAPI:
    """The service, with the settings of the environment unless others are given.

    Add your own routers to what this returns. With `is_attached`, nothing is changed that belongs
    to the process, which is that of another application. Raises SystemExit if a setting is wrong.
    """
    if settings is None:
        try:
            settings = load()
        except InvalidSettings as error:
            startup.exit_with(str(error))
    app = Counterfoil(
        title="Counterfoil",
        summary="Opaque access tokens that can be revoked instantly.",
        description=description.DESCRIPTION,
        openapi_tags=description.TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
        generate_unique_id_function=description.operation_id,
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # api/routers/docs.py serves the description, below the prefix of the service.
        openapi_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # The address it redirects to would be made of the Host header.
        redirect_slashes=False,
    )
    app.state.settings = settings
    # Only the server knows these three; that of `serve` sets them.
    app.state.log_output = None
    app.state.has_bounded_connections = False
    app.state.is_draining = False
    app.state.is_attached = is_attached
    app.state.service = app.state.counterfoil = NOT_STARTED
    app.state.proxy_networks = settings.api.proxy_networks
    app.state.brand = branding.read(settings)
    app.state.instrumentation = (
        NullInstrumentation() if settings.api.metrics is Exposure.OFF else Metrics()
    )
    if not is_attached:
        access_log.install()
    errors.install(app)
    description.install(app)
    _add_routes(app, settings)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> None:
    nouns = [users, applications, oauth, tokens, sessions, api_keys, factors, passkeys, health]
    nouns += [introspection, forward_auth, admin, admin_accounts, admin_roles, admin_exports]
    nouns += [clients, start]
    if settings.api.browser_sessions:
        nouns.append(browser_session)
    if settings.mail.is_on:
        nouns.append(mail)
    if settings.api.metrics is not Exposure.OFF:
        nouns.append(metrics)
    if settings.api.docs:
        nouns.append(docs)
    for noun in nouns:
        # Not include_router: it would put FastAPI's machinery around every route, and match twice.
        app.router.routes.extend(noun.router.routes)
    answer_head(app.router.routes)
    if settings.mail.is_on or settings.api.pages:
        pages.install(app)
    if settings.api.console:
        console.install(app)
    # OAuth demands that unknown parameters are ignored (RFC 6749, 3.2). A logout has none, and
    # without a credential it is a 401 whatever else is sent.
    lenient = {*oauth_errors.PATHS, "/logout"}
    ours = [route for route in app.routes if getattr(route, "path", "") not in lenient]
    app.router.routes[:] = [RouteGroup(app.router.routes, undeclared.checker(ours))]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    startup.warn_unless_bounded(is_bounded=app.state.has_bounded_connections)
    # `serve` does so once for all its workers.
    if not app.state.has_bounded_connections:
        startup.warn_of_weak_settings(settings)
    service = Service(
        settings=settings.authentication,
        database_settings=settings.database,
        mail_settings=settings.mail,
        public_url=settings.api.issuer,
        application_name=branding.name_of(settings),
        instrumentation=app.state.instrumentation,
    )
    may_stop = not app.state.is_attached
    try:
        async with startup.prepared_database(service.database, may_stop=may_stop):
            await service.open()
            app.state.service = service
            counterfoil.install(app, make_authenticator(app, service.limited_resolver))
            async with _sampled_metrics(service):
                yield
    finally:
        app.state.service = app.state.counterfoil = NOT_STARTED
        await service.close()


def make_authenticator(app: FastAPI, resolver: TokenResolver) -> Authenticator:
    """What finds and resolves the credentials of requests by the settings of this application."""
    settings: Settings = app.state.settings

    def record_rejection(token: str, scope: Scope) -> None:
        address = client_address.of(Request(scope), settings.api.proxy_networks)
        app.state.service.rejected_tokens.record(token, address)

    return Authenticator(
        resolver,
        api_key_headers=settings.api.api_key_headers,
        cookie=SessionCookie([settings.api.origin]) if settings.api.browser_sessions else None,
        takes_foreign=settings.authentication.foreign_tokens_until is not None,
        on_rejected=record_rejection,
    )


@asynccontextmanager
async def _sampled_metrics(service: Service) -> AsyncIterator[None]:
    """Sample what the metrics cannot count, while the service runs."""
    if not isinstance(service.instrumentation, Metrics):
        yield
        return
    watching = asyncio.get_running_loop().create_task(service.instrumentation.watch(service))
    try:
        yield
    finally:
        watching.cancel()
