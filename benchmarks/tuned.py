"""The product in a process that is set up as `serve` does, started by uvicorn as its peers are."""

from api import app
from api.server.worker import tune_process

tune_process()

__all__ = ["app"]
