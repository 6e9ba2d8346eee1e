"""What must hold before the service takes its first request, and how it says that it does not."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from anyio import to_thread
from sqlalchemy.exc import DBAPIError
from starlette.types import Message, Send

from database import revisions
from database.engine import deadlines
from database.errors import NewerTables, is_outage, reason_of
from database.settings import DatabaseSettings

log = logging.getLogger("counterfoil.startup")

# uvicorn and gunicorn both take this for "starting another worker would be in vain".
_GIVE_UP = 3
_PAUSE_SECONDS = 0.5


class CannotStart(Exception):
    """The message is one line for the person who starts the service."""


class CannotReach(CannotStart):
    """There may be nothing wrong with the database but that it is down at the moment."""


def refuse(reason: str) -> NoReturn:
    """End the process before there is an event loop, as a supervisor will understand it."""
    sys.stderr.write(f"counterfoil: {reason}\n")
    refusal = SystemExit(reason)
    refusal.code = _GIVE_UP
    raise refusal


def warn_unless_bounded(*, is_bounded: bool) -> None:
    """Say once what the application cannot do by itself under another server."""
    if not is_bounded:
        log.warning(
            "this server bounds neither the size nor the time of a request's head, nor how long an "
            "answer may take to be read: use `python api.py serve`, or a proxy that does"
        )


def without_traceback(send: Send) -> Send:
    """Have the server log why the start was refused, where Starlette sends a whole traceback."""

    async def send_reason(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, CannotStart):
            message = {**message, "message": f"counterfoil: {error}"}
        await send(message)

    return send_reason


@asynccontextmanager
async def prepared_database(settings: DatabaseSettings) -> AsyncIterator[None]:
    """As `prepare_database_now`; with `start_without_database`, one that is down is waited for.

    A worker that replaces another needs that: uvicorn takes one that cannot start for a broken
    program, and stops all the others as well.
    """
    waiting: asyncio.Task[None] | None = None
    try:
        await to_thread.run_sync(prepare_database_now, settings)
    except CannotReach as error:
        if not settings.start_without_database:
            raise
        log.warning("%s; the answer is 503 until it can be", error)
        waiting = asyncio.create_task(_prepare_once_reachable(settings))
    try:
        yield
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})


def prepare_database_now(settings: DatabaseSettings) -> None:
    """Migrate an embedded SQLite; on PostgreSQL see that it has been done. Raises CannotStart."""
    try:
        with deadlines.deadline(settings.database_deadline_seconds):
            if revisions.is_current(settings.database_url):
                return
        if settings.url.get_backend_name() == "postgresql" and not settings.migrate_on_start:
            raise CannotStart(
                f"{settings.address} is behind the newest migration: "
                "run `python api.py migrate` first"
            )
        # Imported only where it is needed: alembic takes a while.
        from database import migrations

        migrations.upgrade(settings.database_url)
    except NewerTables as error:
        raise CannotStart(f"{settings.address}: {error}") from None
    except DBAPIError as error:
        reason = f"{settings.address} cannot be used: {reason_of(error)}"
        raise (CannotReach if is_outage(error) else CannotStart)(reason) from None


async def _prepare_once_reachable(settings: DatabaseSettings) -> None:
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            return await to_thread.run_sync(prepare_database_now, settings)
        except CannotReach:
            continue
        except CannotStart as error:
            log.critical("%s", error)
            # A supervisor starts another in our place, which then refuses for the same reason.
            return signal.raise_signal(signal.SIGTERM)
