"""Commands that look after the database: migrate, prune, check."""

import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError

from api import weak_settings
from api.commands import support
from api.settings import load
from authentication.accounts import users
from authentication.pruning import prune as pruning
from authentication.pruning.prune import Retention
from database import queries, revisions
from database.engine import sqlite, standbys
from database.engine.session import Database
from database.errors import reason_of
from database.settings import DatabaseSettings

KeepDays = Annotated[
    int | None,
    typer.Option(min=0, max=36_500, help="Keep what ended in the last days. Default: the setting."),
]
_ALTERABLE = "the database role can alter the audit log: see docs/how-to/postgresql.md"

AuditKeepDays = Annotated[
    int | None,
    typer.Option(min=1, max=36_500, help="Keep events of the last days. Default: the setting."),
]


def migrate(
    grant_to: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="The PostgreSQL role that serves: see Database roles."),
    ] = None,
    manage_roles: Annotated[
        bool, typer.Option(help="With --grant-to: let it change the roles of users as well.")
    ] = False,
    grant_resolve_to: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="A PostgreSQL role that may only judge tokens."),
    ] = None,
) -> None:
    """Upgrade the tables to the newest migration. It is safe to run this several times at once.

    With `--grant-to`, give another role what it needs to serve. With `--grant-resolve-to`, let a
    role judge tokens by SQL.
    """
    # alembic takes a while to import, and no other command needs it.
    from database import grants, migrations

    with support.settings() as loaded:
        settings = loaded.database
        wants_grant = grant_to is not None or grant_resolve_to is not None
        if wants_grant and settings.url.get_backend_name() == "sqlite":
            support.fail("SQLite has no roles to grant anything to")
        # Asked first, as it says in one line that the tables are newer.
        if not revisions.is_current(settings.database_url):
            try:
                migrations.upgrade(settings.database_url)
            except DBAPIError as error:
                support.fail(f"{settings.address} cannot be migrated: {reason_of(error)}")
        typer.echo("The tables are at the newest migration.", err=True)
        if grant_to is not None:
            grant = partial(grants.grant, role=grant_to, manage_roles=manage_roles)
            migrations.in_turn(settings.database_url, grant)
            typer.echo(f"The role {grant_to} can serve.", err=True)
        if grant_resolve_to is not None:
            grant = partial(grants.grant_to_resolve, role=grant_resolve_to)
            migrations.in_turn(settings.database_url, grant)
            typer.echo(f"The role {grant_resolve_to} can judge tokens.", err=True)


def prune(
    keep_days: KeepDays = None,
    audit_keep_days: AuditKeepDays = None,
    dry_run: Annotated[bool, typer.Option(help="Only count the rows to remove.")] = False,
) -> None:
    """Remove sessions, tokens and API keys that can no longer be used, in small batches.

    Audit events are removed only if a setting or the option says how long they are kept.
    """
    with support.connected() as (database, settings):
        retention = Retention(
            settings.prune_keep_days if keep_days is None else keep_days,
            settings.audit_keep_days if audit_keep_days is None else audit_keep_days,
        )
        counts = pruning.count_prunable(database, retention)
        if not dry_run:
            counts = _prune(database, retention, expected=counts)
        for table, rows in counts.items():
            typer.echo(f"{table}\t{rows}")


def _prune(database: Database, retention: Retention, *, expected: dict[str, int]) -> dict[str, int]:
    """Returns what was removed, which may be more than expected: the service goes on meanwhile."""
    removed = Counter(dict.fromkeys(expected, 0))
    with typer.progressbar(length=sum(expected.values()), label="Pruning", file=sys.stderr) as bar:
        for rows in pruning.prune_all(database, retention):
            removed.update(rows)
            bar.update(sum(rows.values()))
    return dict(removed)


def check() -> None:
    """Check the settings, the connection to the database and the migrations."""
    with support.connected() as (database, _):
        with database.transaction(read_only=True) as db:
            db.connection()
        if not revisions.is_current(database.settings.database_url):
            support.fail(support.BEHIND)
        with database.transaction(read_only=True) as db:
            if not users.has_administrator(db):
                typer.echo("warning: there is no administrator yet", err=True)
            if queries.audit_events.can_be_altered(db):
                typer.echo(f"warning: {_ALTERABLE}", err=True)
        for line in standbys.describe(database.settings):
            typer.echo(line, err=True)
        for warning in [*_file_warnings(database.settings), *weak_settings.find(load())]:
            typer.echo(f"warning: {warning}", err=True)
        typer.echo("ok")


def _file_warnings(settings: DatabaseSettings) -> Iterator[str]:
    if settings.is_default:
        yield f"DATABASE_URL is not set: the database is {settings.address}"
    path = settings.url.database or ""
    secret = [*sqlite.files(path)] if settings.url.get_backend_name() == "sqlite" else []
    for file in [Path(".env"), *secret]:
        # A named pipe or a device has no content at rest.
        if file.is_file() and file.stat().st_mode & 0o077:
            yield f"other users can read {file}: chmod 600 {file}"
