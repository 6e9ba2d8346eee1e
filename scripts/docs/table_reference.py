"""Writes docs/reference/tables.md from the models, with what each column means."""

from sqlalchemy import Column, Table, make_url

from database.models import User
from harness.server import REPOSITORY
from scripts.docs.table_meanings import COLUMNS, TABLES, VIEW

REFERENCE = REPOSITORY / "docs" / "reference" / "tables.md"

_HEAD = """\
# Tables

Types are those of PostgreSQL. SQLite has the same tables: numbers as INTEGER, points in time as
text in UTC (`2026-11-22 09:30:00.000000`), UUIDs as text with dashes, digests as BLOB, booleans as
0 and 1.

- Deleting a row deletes what refers to it (`ON DELETE CASCADE`, for every foreign key): a user
  takes sessions, tokens and API keys along. In SQLite only with `PRAGMA foreign_keys = ON`.
- A digest is the 32 bytes of a SHA-256. No token and no API key is stored.
- Points in time are set and judged by the database's clock.
- What may be written by SQL is in [Revoke by SQL](../how-to/revoke-by-sql.md) and
  [Move users here](../how-to/moving.md). Reading is free.

This page is made from the models: see [CONTRIBUTING.md](../../CONTRIBUTING.md).
"""
_VIEW_HEAD = """
## live_sessions

A view of the sessions that can be used at this moment, by an access token or a refresh token, with
whose they are. A test holds it to what the lookup calls live.

| column | what |
|---|---|
"""
_POSTGRESQL = make_url("postgresql+psycopg2://").get_dialect()()


def reference() -> str:
    """The text of the page."""
    return _HEAD + "".join(_section(table) for table in tables()) + _view()


def tables() -> list[Table]:
    """In the order in which they are explained, which is that of reading."""
    return [User.metadata.tables[name] for name in TABLES]


def _section(table: Table) -> str:
    text = f"\n## {table.name}\n\n{TABLES[table.name]}\n\n"
    text += "| column | type | | meaning |\n|---|---|---|---|\n"
    for column in table.columns:
        meaning = COLUMNS[f"{table.name}.{column.name}"]
        text += f"| `{column.name}` | {_type(column)} | {_rules(table, column)} | {meaning} |\n"
    return text


def _view() -> str:
    rows = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in VIEW.items())
    return _VIEW_HEAD + rows


def _type(column: Column[object]) -> str:
    name = column.type.compile(dialect=_POSTGRESQL)
    return str(name).lower().replace("timestamp with time zone", "timestamptz")


def _rules(table: Table, column: Column[object]) -> str:
    rules = ["key"] if column.primary_key else []
    rules += [f"of `{key.column.table.name}`" for key in column.foreign_keys]
    if _is_unique(table, column):
        rules.append("unique")
    if column.nullable:
        rules.append("may be NULL")
    return ", ".join(rules)


def _is_unique(table: Table, column: Column[object]) -> bool:
    if column.unique:
        return True
    # Compared in lower case, such as addresses.
    return any(
        index.unique and str(index.expressions[0]) == f"lower({table.name}.{column.name})"
        for index in table.indexes
    )
