"""Generates docs/reference/tables.md from the models and the descriptions of their columns."""

from sqlalchemy import Column, Table, make_url

from database.models import User
from harness.server import REPOSITORY
from scripts.docs.table_meanings import COLUMNS, CREDENTIAL_VIEW, TABLES, VIEW

REFERENCE = REPOSITORY / "docs" / "reference" / "tables.md"

_HEAD = """\
# Tables

The types are those of PostgreSQL. SQLite has the same tables, with numbers as INTEGER, timestamps
as text in UTC (`2026-11-22 09:30:00.000000`), UUIDs as text with dashes, digests as BLOB, and
booleans as 0 and 1.

- Deleting a row deletes the rows that refer to it (`ON DELETE CASCADE`, for every foreign key but
  `oauth_clients.account_id`, which becomes NULL): with a user, their sessions, tokens and API keys
  are deleted. SQLite does this only with `PRAGMA foreign_keys = ON`.
- A digest is the 32 bytes of a SHA-256. No token and no API key is stored.
- Timestamps are set and compared by the database's clock.
- [Revoke by SQL](../how-to/revoke-by-sql.md) and [Move users to
  Counterfoil](../how-to/moving.md) list the supported changes by SQL. Any row may be read.

This page is generated from the models: see [CONTRIBUTING.md](../../CONTRIBUTING.md).
"""
_VIEW_HEAD = """
## live_sessions

A view of the sessions that can be used at this moment, with an access token or a refresh token, and
of their users. A test compares it with what the lookup regards as live.

| column | meaning |
|---|---|
"""
_CREDENTIAL_VIEW_HEAD = """
## live_credentials

A view of the access tokens and API keys that are live at this moment, for programs that
[judge tokens by SQL](../how-to/resolve-by-sql.md). On PostgreSQL, the functions
`counterfoil_resolve(token text)` and `counterfoil_resolve_digests(digests bytea[])` return the same
columns. Times are seconds since 1970, as floating-point numbers. Roles and scopes are `text[]` on
PostgreSQL, and JSON arrays in SQLite. Later versions may append columns; they neither remove nor
rename any.

| column | meaning |
|---|---|
"""
_POSTGRESQL = make_url("postgresql+psycopg2://").get_dialect()()


def reference() -> str:
    """The text of the page."""
    return _HEAD + "".join(_section(table) for table in tables()) + _views()


def tables() -> list[Table]:
    """The tables in the order of the page."""
    return [User.metadata.tables[name] for name in TABLES]


def _section(table: Table) -> str:
    text = f"\n## {table.name}\n\n{TABLES[table.name]}\n\n"
    text += "| column | type | | meaning |\n|---|---|---|---|\n"
    for column in table.columns:
        meaning = COLUMNS[f"{table.name}.{column.name}"]
        text += f"| `{column.name}` | {_type(column)} | {_rules(table, column)} | {meaning} |\n"
    return text


def _views() -> str:
    return _view(_VIEW_HEAD, VIEW) + _view(_CREDENTIAL_VIEW_HEAD, CREDENTIAL_VIEW)


def _view(head: str, columns: dict[str, str]) -> str:
    return head + "".join(f"| `{name}` | {meaning} |\n" for name, meaning in columns.items())


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
    # Case-insensitive columns have a unique index on their lower-case form.
    return any(
        index.unique and str(index.expressions[0]) == f"lower({table.name}.{column.name})"
        for index in table.indexes
    )
