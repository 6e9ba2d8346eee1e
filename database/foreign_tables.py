"""Reads the tables in which other systems keep their tokens, each row with its user's address."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Select,
    column,
    create_engine,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from database.errors import UnsuitableDatabase, reason_of
from database.settings import parse_url

_FETCHED = 500


@dataclass(frozen=True, slots=True)
class TokenTable:
    """A table of tokens, and which of its columns hold what. `user` refers to an id of `users`.

    `only` names a column, and the value of the rows that count.
    """

    tokens: str
    users: str
    user: str
    columns: Mapping[str, str]
    only: tuple[str, str] | None = None

    def select(self) -> Select[Any]:
        """All tokens of users who are there, with the columns as an import names them."""
        users = table(self.users, column("id"), column("email"))
        tokens = table(self.tokens, *map(column, {self.user, *self.columns.values()}))
        found = (tokens.c[name].label(label) for label, name in self.columns.items())
        query = select(users.c.email.label("email"), *found).join_from(
            tokens, users, users.c.id == tokens.c[self.user]
        )
        if self.only is None:
            return query
        name, value = self.only
        return query.where(literal_column(name) == value)


def read(url: str, source: TokenTable) -> Iterator[dict[str, Any]]:
    """The rows, a few at a time. Raises UnsuitableDatabase if they cannot be read."""
    with _connected(url) as connection:
        rows = connection.execution_options(yield_per=_FETCHED).execute(source.select())
        for row in rows.mappings():
            yield dict(row)


def count(url: str, source: TokenTable) -> int:
    """How many rows there are. Raises UnsuitableDatabase."""
    with _connected(url) as connection:
        counted = select(func.count()).select_from(source.select().subquery())
        return connection.scalar(counted) or 0


def _parse(text: str) -> URL:
    try:
        url = parse_url(text)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise UnsuitableDatabase(
            "tokens are read from PostgreSQL, from SQLite or from a file; export others to a file"
        )
    return url


@contextmanager
def _connected(text: str) -> Iterator[Connection]:
    url = _parse(text)
    is_sqlite = url.get_backend_name() == "sqlite"
    # SQLite would make an empty file of a misspelt name.
    if is_sqlite and not Path(url.database or "").is_file():
        raise UnsuitableDatabase(f"there is no file {url.database}")
    options = {} if is_sqlite else {"postgresql_readonly": True}
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            yield connection.execution_options(**options)
    except SQLAlchemyError as error:
        shown = url.set(drivername=url.get_backend_name()).render_as_string()
        raise UnsuitableDatabase(f"{shown} cannot be read: {reason_of(error)}") from None
