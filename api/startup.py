"""Checks the database before the first request, and reports a failure in one line."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from anyio import to_thread
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from starlette.types import Message, Send

from api import weak_settings
from api.settings import Settings
from counterfoil.errors import DatabaseUnavailable
from database import revisions
from database.engine import deadlines
from database.engine.session import Database
from database.errors import UnsuitableDatabase, is_outage, reason_of
from database.settings import WRONG_SETTINGS_STATUS, DatabaseSettings

log = logging.getLogger("counterfoil.startup")

_PAUSE_SECONDS = 0.5


class CannotStart(Exception):
    """The message is one line for the person who starts the service."""


class CannotReach(CannotStart):
    """The database does not answer. It may be down for the moment, and nothing else wrong."""


def exit_with(reason: str) -> NoReturn:
    """Write why to standard error, and exit with a status that stops a supervisor as well."""
    sys.stderr.write(f"counterfoil: {reason}\n")
    raise SystemExit(WRONG_SETTINGS_STATUS)


def warn_unless_bounded(*, is_bounded: bool) -> None:
    """Log once what the application cannot do by itself under another server."""
    if not is_bounded:
        log.warning(
            "this server bounds neither the size nor the time of a request's head, nor how long an "
            "answer may take to be read: use `python api.py serve`, or a proxy that does"
        )


def warn_of_weak_settings(settings: Settings) -> None:
    """Log each once, when the service starts."""
    for warning in weak_settings.find(settings):
        log.warning("%s", warning)


def without_traceback(send: Send) -> Send:
    """Have the server log in one line why it cannot start, where Starlette sends a traceback."""

    async def send_reason(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, CannotStart):
            message = {**message, "message": f"counterfoil: {error}"}
        await send(message)

    return send_reason


@asynccontextmanager
async def prepared_database(database: Database, *, may_stop: bool = True) -> AsyncIterator[None]:
    """As `prepare_database_now`; with `start_without_database`, wait for one that is down.

    A worker that replaces another needs that: if it cannot start, uvicorn stops all the others.
    With `may_stop`, the process is stopped if the database turns out to be of no use.
    """
    waiting: asyncio.Task[None] | None = None
    try:
        await to_thread.run_sync(_prepare, database)
    except CannotReach as error:
        if not database.settings.start_without_database:
            raise
        log.warning("%s; the answer is 503 until it can be", error)
        waiting = asyncio.create_task(_prepare_once_reachable(database, may_stop=may_stop))
    try:
        yield
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})


def _prepare(database: Database) -> None:
    prepare_database_now(database.settings, database.engine)


def prepare_database_now(settings: DatabaseSettings, engine: Engine | None = None) -> None:
    """Migrate an embedded SQLite; on PostgreSQL see that it has been done. Raises CannotStart.

    Looks by a connection of `engine`, or by one of its own.
    """
    try:
        with deadlines.deadline(settings.database_deadline_seconds):
            if revisions.is_current(settings.database_url, engine):
                return
        if settings.url.get_backend_name() == "postgresql" and not settings.migrate_on_start:
            raise CannotStart(
                f"{settings.address} is behind the newest migration: "
                "run `python api.py migrate` first"
            )
        # Imported only where it is needed: alembic takes a while.
        from database import migrations

        migrations.upgrade(settings.database_url)
    except UnsuitableDatabase as error:
        raise CannotStart(f"{settings.address}: {error}") from None
    except (DatabaseUnavailable, DBAPIError) as error:
        reason = f"{settings.address} cannot be used: {reason_of(error)}"
        raise (CannotReach if is_outage(error) else CannotStart)(reason) from None


async def _prepare_once_reachable(database: Database, *, may_stop: bool) -> None:
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            return await to_thread.run_sync(_prepare, database)
        except CannotReach:
            continue
        except CannotStart as error:
            log.critical("%s", error)
            if may_stop:
                # A supervisor replaces this process by another, which cannot start either.
                signal.raise_signal(signal.SIGTERM)
            break
