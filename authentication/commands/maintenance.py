"""Commands that look after the database: migrate, prune, check."""

import sys
from typing import Annotated

import typer

from authentication import maintenance, users
from authentication.commands import support
from database import revisions

KeepDays = Annotated[int, typer.Option(min=0, max=36_500, help="Keep what ended in the last days.")]


def migrate() -> None:
    """Bring the tables to the newest migration. Safe to run from several places at once."""
    # alembic takes a while to import, and no other command needs it.
    from database import migrations

    with support.settings() as (settings, _):
        migrations.upgrade(settings.database_url)
        typer.echo("The tables are at the newest migration.", err=True)


def prune(
    keep_days: KeepDays = 7,
    dry_run: Annotated[bool, typer.Option(help="Only say how many rows would go.")] = False,
) -> None:
    """Remove sessions, tokens and API keys that ended long ago, in small batches."""
    with support.connected() as (database, _):
        counts = maintenance.count_prunable(database, keep_days=keep_days)
        if not dry_run:
            total = sum(counts.values())
            counts = dict.fromkeys(counts, 0)
            with typer.progressbar(length=total, label="Pruning", file=sys.stderr) as bar:
                for progress in maintenance.prune(database, keep_days=keep_days):
                    counts[progress.table] += progress.rows
                    bar.update(progress.rows)
        for table, rows in counts.items():
            typer.echo(f"{table}\t{rows}")


def check() -> None:
    """Check the settings, the connection to the database and the migrations."""
    with support.connected() as (database, settings):
        with database.transaction(read_only=True) as session:
            session.connection()
        if not revisions.is_current(database.settings.database_url):
            support.fail(support.BEHIND)
        with database.transaction(read_only=True) as session:
            if not users.has_administrator(session):
                typer.echo("warning: there is no administrator yet", err=True)
        if settings.bcrypt_rounds < 12:
            typer.echo("warning: BCRYPT_ROUNDS below 12 is for tests", err=True)
        typer.echo("ok")
