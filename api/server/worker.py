"""What a process that `serve` starts does before it answers requests."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import dictConfig
from typing import Any

from fastapi import FastAPI

from api.application import create_app
from api.observability import logs
from api.observability.output import stdout
from api.server.draining import obey_supervisor

# A thread gives way to the event loop, which answers token checks, after so long and not 5 ms.
_SWITCH_SECONDS = 0.0005
# A full collection finds next to nothing here, and no request is answered meanwhile.
_GC_THRESHOLDS = (50_000, 50, 1000)


def load_app() -> FastAPI:
    """Build the application and log as `serve` does. uvicorn calls this once in each worker."""
    app = create_app()
    app.state.has_bounded_connections = True
    _log_to_standard_output(app)
    obey_supervisor(app)
    _tune_process()
    return app


def _log_to_standard_output(app: FastAPI) -> None:
    settings = app.state.settings.api
    dictConfig(logs.configuration(settings))
    app.state.log_output = stdout if logs.is_json(settings) else None
    serve = app.router.lifespan_context

    @asynccontextmanager
    async def serve_and_gather_lines(app: Any) -> AsyncIterator[Any]:
        with stdout.gathering():
            async with serve(app) as state:
                yield state

    app.router.lifespan_context = serve_and_gather_lines


def _tune_process() -> None:
    """Set up garbage collection and threads for a process that does nothing but serve."""
    # What has been imported and built so far stays, so no collection has to look at it. There is
    # next to no garbage in it: to look once would take a sixth of the start and find 800 objects.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    # It is off while modules are imported.
    gc.enable()
    sys.setswitchinterval(_SWITCH_SECONDS)
