"""What must hold before the service takes its first request, and how it says that it does not."""

import sys
from typing import NoReturn

from anyio import to_thread
from sqlalchemy.exc import DBAPIError
from starlette.types import Message, Send

from database import revisions
from database.errors import reason_of
from database.settings import DatabaseSettings

# uvicorn and gunicorn both take this for "starting another worker would be in vain".
_GIVE_UP = 3


class CannotStart(Exception):
    """The message is one line for the person who starts the service."""


def refuse(reason: str) -> NoReturn:
    """End the process before there is an event loop, as a supervisor will understand it."""
    sys.stderr.write(f"counterfoil: {reason}\n")
    refusal = SystemExit(reason)
    refusal.code = _GIVE_UP
    raise refusal


def without_traceback(send: Send) -> Send:
    """Have the server log why the start was refused, where Starlette sends a whole traceback."""

    async def send_reason(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, CannotStart):
            message = {**message, "message": f"counterfoil: {error}"}
        await send(message)

    return send_reason


async def prepare_database(settings: DatabaseSettings) -> None:
    """Migrate an embedded SQLite; on PostgreSQL see that it has been done. Raises CannotStart."""
    await to_thread.run_sync(prepare_database_now, settings)


def prepare_database_now(settings: DatabaseSettings) -> None:
    """The same, for code that does not run on an event loop."""
    try:
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
    except DBAPIError as error:
        raise CannotStart(f"{settings.address} cannot be used: {reason_of(error)}") from None
