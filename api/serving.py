"""The command `serve`: checks what must hold, says what is served, and hands over to uvicorn."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from api import startup
from api.bounded_protocol import BoundedProtocol
from api.settings import Settings, load
from authentication import users
from database.session import Database
from database.settings import InvalidSettings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many processes serve.")] = None,
    reload: Annotated[bool, typer.Option(help="Start anew when the code changes.")] = False,
) -> None:
    """Serve over HTTP. What is not given here comes from the settings."""
    try:
        settings = load()
        # Here as well as in each worker, which uvicorn would start again and again.
        startup.prepare_database_now(settings.database)
    except (InvalidSettings, startup.CannotStart) as error:
        typer.echo(f"counterfoil: {error}", err=True)
        raise typer.Exit(1) from None
    host, port = host or settings.api.host, settings.api.port if port is None else port
    _introduce(settings, host, port)
    uvicorn.run(
        "api:app",
        host=host,
        port=port,
        workers=workers or settings.api.workers,
        reload=reload,
        # Our own code reads the forwarded address, from trusted proxies alone.
        proxy_headers=False,
        server_header=False,
        http=BoundedProtocol,
        # Nothing here speaks WebSocket; a handshake is answered as the plain request that it is.
        ws="none",
        limit_concurrency=settings.api.max_connections,
        timeout_graceful_shutdown=settings.api.shutdown_seconds,
    )


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
        with database.transaction(read_only=True) as session:
            return users.has_administrator(session)
    finally:
        database.close()
