"""What lists look like: columns that are divided by tabs, or JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer

from database import moments
from database.text import is_comparable

MAX_LISTED = 100_000
DEFAULT_LISTED = 1000

JsonOption = Annotated[bool, typer.Option("--json", help="JSON in place of columns.")]
HeadersOption = Annotated[
    bool | None,
    typer.Option(
        "--headers/--no-headers", help="The names of the columns. Default: on a terminal."
    ),
]
LimitOption = Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="List no more than so many.")]


def show_list(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    limit: int,
    as_json: bool,
    headers: bool | None,
) -> None:
    """Print up to `limit` rows, and say so on standard error if there are more."""
    found = list(islice(rows, limit + 1))
    shown = found[:limit]
    if as_json:
        items = [dict(zip(columns, map(_plain, row), strict=True)) for row in shown]
        typer.echo(json.dumps(items, indent=2))
    else:
        if headers or (headers is None and sys.stdout.isatty()):
            typer.echo("\t".join(columns))
        for row in shown:
            typer.echo("\t".join(map(text, row)))
    if len(found) > limit:
        typer.echo(f"There are more than these {limit}: see --limit.", err=True)


def show_one(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing, a field in each line."""
    if as_json:
        plain = {name: _plain(value) for name, value in fields.items()}
        typer.echo(json.dumps(plain, indent=2))
    else:
        for name, value in fields.items():
            typer.echo(f"{name}\t{text(value)}")


def text(value: Any) -> str:
    """A value for people. Text that a client chose is shown without what would divide columns."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case dict():
            return json.dumps(value, separators=(",", ":"), sort_keys=True) if value else "-"
        case list() | tuple():
            return text(",".join(map(str, value)))
    return printable(str(value))


def printable(value: str | None) -> str:
    """Text that a client chose, without what would move a terminal's cursor or divide columns."""
    return "".join(c if c.isprintable() else "?" for c in value) if value else "-"


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | dict():
            return value
        case datetime():
            return moments.in_utc(value).isoformat().replace("+00:00", "Z")
        case list() | tuple():
            return [_plain(one) for one in value]
    found = str(value)
    return found if is_comparable(found) else found.encode(errors="replace").decode()
