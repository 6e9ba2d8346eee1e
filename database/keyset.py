"""Keyset pagination: each page begins after the last row of the one before.

Every page costs the same, however far it is from the first. Rows inserted or deleted meanwhile
never make another row appear twice or not at all.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVarTuple

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Dialect,
    Select,
    String,
    Tuple,
    literal,
    tuple_,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator, TypeEngine

Columns = TypeVarTuple("Columns")


class Position(NamedTuple):
    """The last row of a page: its time exactly as stored, and its id."""

    moment: str
    id: Any


class StoredMoment(TypeDecorator[str]):
    """A point in time exactly as stored, as text.

    SQLite stores and compares times as text. A time written by SQL may have fewer digits than one
    written by this service, so parsing it and formatting it again could change it.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "sqlite":
            return value
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.isoformat() if isinstance(value, datetime) else value


def stored(moment: InstrumentedAttribute[datetime]) -> ColumnElement[str]:
    """The column that a query must select to build the Position of a row."""
    return type_coerce(moment, StoredMoment()).label("position")


def newest_first(
    query: Select[*Columns],
    moment: InstrumentedAttribute[datetime],
    identifier: InstrumentedAttribute[Any],
    *,
    after: Position | None,
    until: Position | None = None,
) -> Select[*Columns]:
    """The rows after one position (exclusive) up to another (inclusive), newest first."""
    position = tuple_(type_coerce(moment, StoredMoment()), identifier)
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
    position = tuple_(type_coerce(moment, StoredMoment()), identifier)
    if after is not None:
        query = query.where(position > _literal(after, identifier))
    return query.order_by(moment, identifier)


def _literal(position: Position, identifier: InstrumentedAttribute[Any]) -> Tuple:
    moment = literal(position.moment, StoredMoment())
    return tuple_(moment, literal(position.id, identifier.type))
