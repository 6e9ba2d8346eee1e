"""The command `serve`: checks what must hold, says what is served, and hands over to uvicorn."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from logging.config import dictConfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI

from api import startup
from api.observability import logs, metrics
from api.server.protocol import Protocol, Supervisor
from api.settings import Settings, load
from authentication.accounts import users
from database.engine.session import Database
from database.settings import InvalidSettings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many worker processes.")] = None,
    reload: Annotated[bool, typer.Option(help="Restart when the code changes.")] = False,
) -> None:
    """Serve over HTTP. Options that are not given are taken from the settings."""
    try:
        settings = load()
        # Here as well as in each worker, which uvicorn would start again and again.
        startup.prepare_database_now(settings.database)
    except (InvalidSettings, startup.CannotStart) as error:
        typer.echo(f"counterfoil: {error}", err=True)
        raise typer.Exit(1) from None
    host, port = host or settings.api.host, settings.api.port if port is None else port
    workers = workers or settings.api.workers
    dictConfig(logs.configuration(settings.api))
    _introduce(settings, host, port)
    with _shared_metrics(workers):
        _run(settings, host=host, port=port, workers=workers, reload=reload)


def _run(settings: Settings, *, workers: int, reload: bool, **address: Any) -> None:
    options: dict[str, Any] = {
        **address,
        "app": "api.commands.serve:load_app",
        "factory": True,
        "workers": workers,
        "reload": reload,
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
    if workers == 1 or reload:
        uvicorn.run(**options)
        return
    # The database has been found well. A worker that replaces another may come at a worse time.
    os.environ["COUNTERFOIL_START_WITHOUT_DATABASE"] = "on"
    config = uvicorn.Config(**options)
    Supervisor(config, sockets=[config.bind_socket()]).run()


def load_app() -> FastAPI:
    """What each worker serves, once it logs as `serve` does."""
    # By name, because beside the file api.py mypy does not see the package.
    app: FastAPI = import_module("api").app
    app.state.has_bounded_connections = True
    dictConfig(logs.configuration(app.state.settings.api))
    return app


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


def _introduce(settings: Settings, host: str, port: int) -> None:
    # An IPv6 address stands in brackets.
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    typer.echo(f"Counterfoil serves {address}", err=True)
    if settings.api.docs:
        typer.echo(f"  documentation  {address}/docs", err=True)
    typer.echo(f"  database       {settings.database.address}", err=True)
    if not _has_administrator(settings):
        typer.echo("  no administrator yet; make the first one here in another terminal:", err=True)
        typer.echo(f"    {_this_program()} create-user you@example.org --role admin", err=True)


def _this_program() -> str:
    """How it was started, as short as it can be typed in the folder it was started in."""
    python, program = Path(sys.executable), Path(sys.argv[0])
    here = Path.cwd()
    if python.is_relative_to(here):
        python = python.relative_to(here)
    return shlex.join([str(python), str(program)])


def _has_administrator(settings: Settings) -> bool:
    database = Database(settings.database)
    try:
        with database.transaction(read_only=True) as db:
            return users.has_administrator(db)
    finally:
        database.close()
