"""The command `serve`: checks what must hold, says what is served, and hands over to the server."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import DatabaseError

from api.commands import support
from api.settings import Settings, load, url_of
from authentication.accounts import users
from counterfoil.errors import DatabaseUnavailable
from database.engine.session import Database
from database.errors import reason_of
from database.settings import WRONG_SETTINGS_STATUS, InvalidSettings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many worker processes.")] = None,
    reload: Annotated[bool, typer.Option(help="Restart when the code changes.")] = False,
) -> None:
    """Serve over HTTP. Options that are not given are taken from the settings."""
    # Importing a web server takes a while, and no other command needs one.
    from api import startup
    from api.server import inherited_sockets, launcher

    launcher.set_for_workers(host=host, port=port, workers=workers)
    try:
        settings = load()
        sockets = inherited_sockets.take_over()
        if sockets:
            host, port = sockets[0].getsockname()[:2]
            launcher.set_for_workers(host=host, port=port)
            settings = load()
        # Here as well as in each worker, which uvicorn would start again and again.
        startup.prepare_database_now(settings.database)
    except InvalidSettings as error:
        support.fail(str(error), status=WRONG_SETTINGS_STATUS)
    except startup.CannotStart as error:
        support.fail(str(error))
    _announce(settings)
    launcher.run(settings, sockets=sockets, reload=reload)


def _announce(settings: Settings) -> None:
    host, port = settings.api.host, settings.api.port
    # The issuer, unless it is set: clients compare it with the address at which they found it.
    url = url_of(host, port)
    typer.echo(f"Counterfoil serves {url}", err=True)
    if settings.api.docs:
        typer.echo(f"  documentation  {url}/docs", err=True)
    if host == "127.0.0.1" and settings.api.pages and settings.api.issuer == url:
        reason = "browsers make none for an IP address"
        typer.echo(f"  passkeys       {url_of('localhost', port)} ({reason})", err=True)
    origin = " (DATABASE_URL is not set)" if settings.database.is_default else ""
    typer.echo(f"  database       {settings.database.address}{origin}", err=True)
    try:
        has_administrator = _has_administrator(settings)
    except (DatabaseUnavailable, DatabaseError) as error:
        # The service waits for it, and says so in its log.
        typer.echo(f"  it cannot be read now: {reason_of(error)}", err=True)
        return
    if not has_administrator:
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
