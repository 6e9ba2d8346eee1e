"""The command `demo`: creates demo users for trying out the console."""

import secrets
import sys
from typing import Annotated

import typer

from api.commands import support
from authentication.demo import history
from authentication.passwords.hasher import PasswordHasher
from database import revisions
from database.settings import DatabaseSettings


def demo(
    users: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to create.")] = 200,
) -> None:
    """Fill an empty database with invented users, for a demonstration. Prints how to sign in."""
    password = secrets.token_urlsafe(12)
    with support.connected(may_create=True) as (database, settings):
        _make_tables(database.settings)
        hashed = PasswordHasher(settings).hash(password)
        with (
            database.transaction() as db,
            typer.progressbar(length=users, label="Inventing", file=sys.stderr) as bar,
        ):
            for added in history.fill(db, settings, people=users, hashed_password=hashed):
                bar.update(added)
    typer.echo(f"{history.ADMINISTRATOR}\t{password}")
    typer.echo(f"Sign in as {history.ADMINISTRATOR}, or as anyone else in it:", err=True)
    typer.echo("they all have this password, which is not shown again.", err=True)


def _make_tables(settings: DatabaseSettings) -> None:
    """As serving does: an embedded SQLite is migrated, a PostgreSQL only by `migrate`."""
    if revisions.is_current(settings.database_url):
        return
    if settings.url.get_backend_name() == "postgresql":
        support.fail(support.BEHIND)
    # alembic takes a while to import, and most calls do not need it.
    from database import migrations

    migrations.upgrade(settings.database_url)
