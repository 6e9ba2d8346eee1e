"""Runs uvicorn for the command `serve`, in this process or with several workers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import dictConfig
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from api.observability import logs, metrics
from api.server.protocol import Protocol, Supervisor
from api.settings import Settings


def run(settings: Settings, *, host: str, port: int, workers: int, reload: bool) -> None:
    """Serve until the process is told to stop."""
    dictConfig(logs.configuration(settings.api))
    options = {**_options(settings), "host": host, "port": port, "workers": workers}
    with _shared_metrics(workers):
        if workers == 1 or reload:
            uvicorn.run(**options, reload=reload)
        else:
            _supervise(uvicorn.Config(**options))


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "app": "api.server.worker:load_app",
        "factory": True,
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


def _supervise(config: uvicorn.Config) -> None:
    # The database has just been reached. A worker that replaces another may start during an outage.
    os.environ["COUNTERFOIL_START_WITHOUT_DATABASE"] = "on"
    Supervisor(config, sockets=[config.bind_socket()]).run()


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
