"""What must hold before the service takes its first request."""

from anyio import to_thread
from sqlalchemy.exc import OperationalError

from database import revisions
from database.settings import DatabaseSettings


class CannotStart(Exception):
    """The message is one line for the person who starts the service."""


async def prepare_database(settings: DatabaseSettings) -> None:
    """Migrate an embedded SQLite; on PostgreSQL see that it has been done. Raises CannotStart."""
    await to_thread.run_sync(prepare_database_now, settings)


def prepare_database_now(settings: DatabaseSettings) -> None:
    """The same, for code that does not run on an event loop."""
    address = settings.url.render_as_string(hide_password=True)
    try:
        if revisions.is_current(settings.database_url):
            return
        if settings.url.get_backend_name() == "postgresql" and not settings.migrate_on_start:
            raise CannotStart(
                f"{address} is behind the newest migration: run `python api.py migrate` first"
            )
        # Imported only where it is needed: alembic takes a while.
        from database import migrations

        migrations.upgrade(settings.database_url)
    except OperationalError:
        raise CannotStart(f"{address} cannot be reached") from None
