"""What a process that `serve` starts does before it answers requests."""

import gc
import sys
from logging.config import dictConfig

from fastapi import FastAPI

from api.application import create_app
from api.observability import logs
from api.server.draining import obey_supervisor

# A thread gives way to the event loop, which answers token checks, after so long and not 5 ms.
_SWITCH_SECONDS = 0.0005
# A full collection finds next to nothing here, and no request is answered meanwhile.
_GC_THRESHOLDS = (50_000, 50, 1000)


def load_app() -> FastAPI:
    """Build the application and log as `serve` does. uvicorn calls this once in each worker."""
    app = create_app()
    app.state.has_bounded_connections = True
    dictConfig(logs.configuration(app.state.settings.api))
    obey_supervisor(app)
    tune_process()
    return app


def tune_process() -> None:
    """Set up garbage collection and threads for a process that does nothing but serve."""
    gc.collect()
    # What has been imported and built so far stays, so no collection has to look at it again.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_SECONDS)
