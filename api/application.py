"""Puts the application together."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Scope

from api import errors, startup
from api.console import application as console
from api.middleware import Frame, OnEnd
from api.observability import access_log
from api.observability.logs import AccessLog
from api.observability.metrics import Metrics
from api.openapi import description
from api.request import client_address
from api.routers import (
    admin,
    api_keys,
    docs,
    forward_auth,
    health,
    introspection,
    metrics,
    oauth,
    sessions,
    tokens,
    users,
)
from api.routing.route_group import RouteGroup
from api.settings import Exposure, Settings, load
from authentication.instrumentation import NOBODY, Observer
from authentication.service import Service
from counterfoil import __version__
from counterfoil import fastapi as counterfoil
from counterfoil.authenticator import Authenticator
from database.settings import InvalidSettings

# A thread that works for a transaction gives way to the event loop after so long, not after 5 ms.
_SWITCH_SECONDS = 0.0005
# Collections find next to nothing in a service that frees what it uses, and each stops the world.
_GC_THRESHOLDS = (50_000, 50, 1000)


class Counterfoil(FastAPI):
    """A FastAPI application with our frame outside everything else, so that a 500 gets it too."""

    def build_middleware_stack(self) -> ASGIApp:
        """Called once, when the first request or the start comes in."""
        settings: Settings = self.state.settings
        on_end: list[OnEnd] = []
        if isinstance(self.state.observer, Metrics):
            on_end.append(self.state.observer.on_request)
        if settings.api.access_log:
            on_end.append(AccessLog(settings.api.proxy_networks).on_request)
        return Frame(
            super().build_middleware_stack(),
            max_body_bytes=settings.api.max_body_bytes,
            body_seconds=settings.api.request_body_seconds,
            database_seconds=settings.database.database_deadline_seconds,
            on_end=on_end,
        )


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service, with the settings of the environment unless others are given.

    Add your own routers to what this returns. Raises SystemExit if a setting is wrong.
    """
    if settings is None:
        try:
            settings = load()
        except InvalidSettings as error:
            startup.refuse(str(error))
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
        openapi_url="/openapi.json" if settings.api.docs else None,
        swagger_ui_oauth2_redirect_url=None,
        # The address it redirects to would be made of the Host header.
        redirect_slashes=False,
    )
    app.state.settings = settings
    # Only whoever starts the server can see to it; `serve` does.
    app.state.has_bounded_connections = False
    app.state.proxy_networks = settings.api.proxy_networks
    app.state.observer = NOBODY if settings.api.metrics is Exposure.OFF else Metrics()
    access_log.install()
    errors.install(app)
    description.install(app)
    _add_routes(app, settings)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> None:
    nouns = [users, oauth, tokens, sessions, api_keys, admin, health, introspection, forward_auth]
    if settings.api.metrics is not Exposure.OFF:
        nouns.append(metrics)
    if settings.api.docs:
        nouns.append(docs)
    for noun in nouns:
        # Not include_router: it would put FastAPI's machinery around every route, and match twice.
        app.router.routes.extend(noun.router.routes)
    if settings.api.console:
        console.install(app)
    app.router.routes[:] = [RouteGroup(app.router.routes)]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    startup.warn_unless_bounded(is_bounded=app.state.has_bounded_connections)
    async with startup.prepared_database(settings.database), _running(app, settings):
        with _tuned_collector(), _tuned_threads():
            yield


@asynccontextmanager
async def _running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    observer: Observer = app.state.observer
    service = Service(
        settings=settings.authentication, database_settings=settings.database, observer=observer
    )
    try:
        await service.open()
        app.state.service = service
        counterfoil.install(app, _authenticator(service, settings))
        async with _watched(service):
            yield
    finally:
        await service.close()


def _authenticator(service: Service, settings: Settings) -> Authenticator:
    def note_rejection(token: str, scope: Scope) -> None:
        address = client_address.of(Request(scope), settings.api.proxy_networks)
        service.refusals.note(token, address)

    return Authenticator(
        service.resolver,
        api_key_headers=settings.api.api_key_headers,
        on_rejected=note_rejection,
    )


@asynccontextmanager
async def _watched(service: Service) -> AsyncIterator[None]:
    """Sample what the metrics cannot count, while the service runs."""
    if not isinstance(service.observer, Metrics):
        yield
        return
    watching = asyncio.get_running_loop().create_task(service.observer.watch(service))
    try:
        yield
    finally:
        watching.cancel()


@contextmanager
def _tuned_collector() -> Iterator[None]:
    """What is there at the start stays: the garbage collector need not look at it again."""
    thresholds = gc.get_threshold()
    _collect_what_imports_left()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@contextmanager
def _tuned_threads() -> Iterator[None]:
    """Token checks are answered by the event loop, and must not wait for threads."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@cache
def _collect_what_imports_left() -> None:
    """Once in a process, as it takes long where there is much, such as under the tests."""
    gc.collect()
