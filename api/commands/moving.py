"""Commands that take along what another system has: its users, and its live tokens."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from api.commands import support
from authentication.importing import tokens as token_imports
from authentication.importing.rows import Problem, Row
from authentication.importing.tokens import Source, TokenImport
from authentication.importing.users import UserImport
from counterfoil.foreign_tokens import ForeignTokens
from database import foreign_tables

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def import_users(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with a header, or JSON: see the page.")
    ],
    dry_run: DryRun = False,
    skip_faulty: Annotated[
        bool, typer.Option("--skip-faulty", help="Import the rows that nothing is in the way of.")
    ] = False,
) -> None:
    """Import users with their ids and password hashes, and print how many rows became users.

    What is in the way is listed by row, and then nothing is imported. Names with characters that do
    not show are listed as well, and taken as they are. An interrupted import is completed by a
    second one, which leaves out the users that are there.
    """
    with support.connected() as (database, settings):
        users = UserImport(database, settings, path)
        count = users.count()
        _show_progress("Checking", users.check(), total=count)
        _list_problems([*users.problems, *users.notes])
        new = count - users.present - len({one.number for one in users.problems})
        typer.echo(f"{users.present} of {count} rows are users already.", err=True)
        if users.problems and not skip_faulty:
            raise typer.Exit(1)
        if new and not dry_run:
            _show_progress("Importing", users.store(), total=count)
        typer.echo(new)


class _Origin(NamedTuple):
    """What is to be imported, and how many rows that are."""

    rows: Iterator[Row]
    total: int


def import_tokens(
    source: Annotated[Source, typer.Option("--from", help="The system that issued them.")],
    origin: Annotated[
        str | None,
        typer.Argument(
            metavar="[ORIGIN]",
            envvar="SOURCE_DATABASE_URL",
            help="The database of that system, or a file. Default: the database of this service.",
        ),
    ] = None,
    token_table: Annotated[str | None, typer.Option(help="If it has another name there.")] = None,
    user_table: Annotated[str | None, typer.Option(help="The same for that of the users.")] = None,
    lifetime_seconds: Annotated[
        int | None,
        typer.Option(min=1, help="Of a token, where that system stores no expiry."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Take along live tokens, so that no client has to log in again, and print how many.

    Each becomes a session that ends with the token, and on COUNTERFOIL_FOREIGN_TOKENS_UNTIL. Their
    users are found by e-mail address. A second run takes only what has been added since.
    """
    with support.connected() as (database, settings):
        ends_at = ForeignTokens(settings.foreign_tokens_until).ends_at
        if ends_at is None:
            support.fail("set COUNTERFOIL_FOREIGN_TOKENS_UNTIL to the last day of such tokens")
        table = token_imports.TABLES[source]
        table = replace(table, tokens=token_table or table.tokens, users=user_table or table.users)
        found = _open(origin or database.settings.database_url, table)
        lifetime = None if lifetime_seconds is None else timedelta(seconds=lifetime_seconds)
        imported = TokenImport(database, source, found.rows, ends_at, lifetime)
        _show_progress("Importing", imported.run(dry_run=dry_run), total=found.total)
        _list_problems(imported.problems)
        for count, what in (
            (imported.present, "were imported before"),
            (imported.expired, "have expired"),
            (imported.without_user, "belong to no active user"),
        ):
            typer.echo(f"{count} {what}.", err=True)
        typer.echo(imported.stored)
        if imported.problems:
            raise typer.Exit(1)


def _open(origin: str, table: foreign_tables.TokenTable) -> _Origin:
    if "://" not in origin:
        path = Path(origin)
        return _Origin(token_imports.read(path), sum(1 for _ in token_imports.read(path)))
    numbered = enumerate(foreign_tables.read(origin, table), start=1)
    return _Origin(
        (Row(number, values) for number, values in numbered), foreign_tables.count(origin, table)
    )


def _show_progress(label: str, steps: Iterator[int], *, total: int) -> None:
    with typer.progressbar(length=total, label=label, file=sys.stderr) as bar:
        for step in steps:
            bar.update(step)


def _list_problems(problems: Sequence[Problem]) -> None:
    for problem in sorted(problems, key=attrgetter("number")):
        typer.echo(f"row {problem.number}: {problem.column}: {problem.text}", err=True)
