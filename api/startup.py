"""What must hold before the service takes its first request."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from sqlalchemy.exc import DBAPIError

from database import deadlines, revisions
from database.errors import is_outage
from database.settings import DatabaseSettings

log = logging.getLogger("counterfoil.startup")

_PAUSE_SECONDS = 0.5


class CannotStart(Exception):
    """The message is one line for the person who starts the service."""


class CannotReach(CannotStart):
    """There may be nothing wrong with the database but that it is down at the moment."""


@asynccontextmanager
async def prepared_database(settings: DatabaseSettings) -> AsyncIterator[None]:
    """As `prepare_database_now`, but a PostgreSQL that is down is waited for in the background.

    A worker that has to be replaced while it is down must come up and answer 503: uvicorn takes one
    that cannot start for a broken program, and stops all the others as well.
    """
    try:
        await to_thread.run_sync(prepare_database_now, settings)
    except CannotReach as error:
        if settings.url.get_backend_name() == "sqlite":
            raise
        log.warning("%s; answering 503 until it can be", error)
        waiting = asyncio.create_task(_prepare_once_reachable(settings))
        try:
            yield
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})
    else:
        yield


def prepare_database_now(settings: DatabaseSettings) -> None:
    """Migrate an embedded SQLite; on PostgreSQL see that it has been done. Raises CannotStart."""
    address = settings.url.render_as_string(hide_password=True)
    try:
        with deadlines.within(settings.database_deadline_seconds):
            if revisions.is_current(settings.database_url):
                return
        if settings.url.get_backend_name() == "postgresql" and not settings.migrate_on_start:
            raise CannotStart(
                f"{address} is behind the newest migration: run `python api.py migrate` first"
            )
        # Imported only where it is needed: alembic takes a while.
        from database import migrations

        migrations.upgrade(settings.database_url)
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise CannotReach(f"{address} cannot be reached") from None


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
