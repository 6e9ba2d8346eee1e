"""Runs uvicorn for the command `serve`, in this process or with several workers."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.config import dictConfig
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from api import startup
from api.observability import logs, metrics
from api.server.draining import Server, Supervisor, ignore_hangup
from api.server.protocol import Protocol
from api.settings import Settings
from database.settings import PREFIX


def set_for_workers(**given: str | int | None) -> None:
    """Make options settings, of the workers too: the issuer is this address unless one is set."""
    for name, value in given.items():
        if value is not None:
            os.environ[f"{PREFIX}{name.upper()}"] = str(value)


def run(settings: Settings, *, sockets: list[socket], reload: bool) -> None:
    """Serve until the process is told to stop, at the sockets if there are any."""
    dictConfig(logs.configuration(settings.api))
    startup.warn_of_weak_settings(settings)
    options = _options(settings)
    workers = settings.api.workers
    drain_seconds = settings.api.drain_seconds
    with _shared_metrics(workers):
        if reload:
            uvicorn.run(**options, reload=True)
        elif workers == 1:
            _serve(uvicorn.Config(**options), sockets, drain_seconds)
        else:
            _supervise(uvicorn.Config(**options), sockets, drain_seconds)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "app": "api.server.worker:load_app",
        "factory": True,
        "host": settings.api.host,
        "port": settings.api.port,
        "workers": settings.api.workers,
        "http": Protocol,
        # Set up by us, in the workers too. uvicorn would do it in them before it answers for
        # them, and take a worker that is slow to import for dead.
        "log_config": None,
        "access_log": False,
        # Our own code reads the forwarded address, from trusted proxies alone.
        "proxy_headers": False,
        "server_header": False,
        # Nothing here speaks WebSocket; a handshake is answered as the plain request that it is.
        "ws": "none",
        "limit_concurrency": settings.api.max_connections,
        "timeout_graceful_shutdown": settings.api.shutdown_seconds,
    }


def _serve(config: uvicorn.Config, sockets: list[socket], drain_seconds: float) -> None:
    ignore_hangup()
    # As in api.py, until the application is loaded.
    gc.disable()
    # uvicorn raises the signal that has stopped it once more, and Ctrl+C is nothing to report.
    with suppress(KeyboardInterrupt):
        Server(config, drain_seconds).run(sockets or None)


def _supervise(config: uvicorn.Config, sockets: list[socket], drain_seconds: float) -> None:
    # The database has just been reached. A worker that replaces another may start during an outage.
    os.environ["COUNTERFOIL_START_WITHOUT_DATABASE"] = "on"
    Supervisor(config, sockets or [config.bind_socket()], drain_seconds).run()


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """A directory in which several workers gather their numbers, for as long as they serve."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="counterfoil-metrics-") as directory:
        # prometheus-client looks for it when it is imported, which each worker does for itself.
        os.environ[metrics.DIRECTORY] = directory
        yield
