"""What a process that `serve` starts does before it answers requests."""

from logging.config import dictConfig

from fastapi import FastAPI

from api.application import create_app
from api.observability import logs


def load_app() -> FastAPI:
    """Build the application and log as `serve` does. uvicorn calls this once in each worker."""
    app = create_app()
    app.state.has_bounded_connections = True
    dictConfig(logs.configuration(app.state.settings.api))
    return app
