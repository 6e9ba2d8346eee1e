"""Keyset pagination: each page begins after the last row of the one before.

Every page costs the same, however far it is from the first. Rows inserted or deleted meanwhile
never make another row appear twice or not at all.
"""

import re
from datetime import datetime
from typing import Any, NamedTuple, TypeVarTuple

from sqlalchemy import ColumnElement, Dialect, Select, String, Tuple, literal, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from database import moments

Columns = TypeVarTuple("Columns")

# How PostgreSQL formats a point in time in UTC, and the range of years that it supports.
_POSTGRESQL_MOMENT = re.compile(r"(?a)(\d{4,6})(-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?\+00)( BC)?")
_FIRST_YEAR_BC = 4713
_LAST_YEAR = 294_276


class Position(NamedTuple):
    """The last row of a page: its time exactly as stored, and its id."""

    moment: str
    id: Any


class StoredMoment(TypeDecorator[str]):
    """A point in time exactly as stored, as text.

    SQLite stores and compares times as text. A time written by SQL may have fewer digits than one
    written by this service, so parsing it and formatting it again could change it. PostgreSQL has
    values that datetime cannot represent.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name == "sqlite":
            return value
        if _is_of_postgresql(value):
            return value
        return moments.in_utc(datetime.fromisoformat(value)).isoformat()


class _as_text(FunctionElement[str]):
    """The stored value as text."""

    type = StoredMoment()
    inherit_cache = True


class _as_moment(FunctionElement[str]):
    """The stored value of a text."""

    type = StoredMoment()
    inherit_cache = True


@compiles(_as_text, "postgresql")
def _as_text_postgresql(element: _as_text, compiler: SQLCompiler, **kw: Any) -> str:
    # Every transaction sets TimeZone and DateStyle: see database/engine/postgresql.py.
    return f"CAST({compiler.process(element.clauses, **kw)} AS text)"


@compiles(_as_moment, "postgresql")
def _as_moment_postgresql(element: _as_moment, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS timestamptz)"


@compiles(_as_text, "sqlite")
@compiles(_as_moment, "sqlite")
def _as_it_is(element: FunctionElement[str], compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


def is_moment(text: str) -> bool:
    """Whether this can be the time of a Position."""
    try:
        return _is_of_postgresql(text) or bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _is_of_postgresql(text: str) -> bool:
    """Whether this is PostgreSQL's format. Raises ValueError for a date that does not exist."""
    if text in {"infinity", "-infinity"}:
        return True
    found = _POSTGRESQL_MOMENT.fullmatch(text)
    if found is None:
        return False
    year, rest, before_christ = int(found[1]), found[2], found[3]
    # The calendar repeats every 400 years.
    datetime.fromisoformat(f"{2000 + (1 - year if before_christ else year) % 400}{rest}")
    return 0 < year < (_FIRST_YEAR_BC if before_christ else _LAST_YEAR)


def stored(moment: InstrumentedAttribute[datetime]) -> ColumnElement[str]:
    """The column that a query must select to build the Position of a row."""
    return _as_text(moment).label("position")


def newest_first(
    query: Select[*Columns],
    moment: InstrumentedAttribute[datetime],
    identifier: InstrumentedAttribute[Any],
    *,
    after: Position | None,
    until: Position | None = None,
) -> Select[*Columns]:
    """The rows after one position (exclusive) up to another (inclusive), newest first."""
    position = tuple_(moment, identifier)
    if after is not None:
        query = query.where(position < _literal(after, identifier))
    if until is not None:
        query = query.where(position >= _literal(until, identifier))
    return query.order_by(moment.desc(), identifier.desc())


def oldest_first(
    query: Select[*Columns],
    moment: InstrumentedAttribute[datetime],
    identifier: InstrumentedAttribute[Any],
    *,
    after: Position | None,
) -> Select[*Columns]:
    """The rows after a position (exclusive), oldest first."""
    position = tuple_(moment, identifier)
    if after is not None:
        query = query.where(position > _literal(after, identifier))
    return query.order_by(moment, identifier)


def _literal(position: Position, identifier: InstrumentedAttribute[Any]) -> Tuple:
    moment = _as_moment(literal(position.moment, StoredMoment()))
    return tuple_(moment, literal(position.id, identifier.type))
