"""The database's clock as SQL expressions. Every expiry is set and judged by it.

Servers whose clocks differ therefore agree on what has expired.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from database.base import UTCDateTime

# SQLite compares times as text, so this must have the format in which SQLAlchemy stores them.
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


class now(FunctionElement[datetime]):
    """The start of the transaction on PostgreSQL; the current time on SQLite."""

    type = UTCDateTime()
    inherit_cache = True


class right_now(FunctionElement[datetime]):
    """The current time, also in a transaction that began earlier and waited for a lock."""

    type = UTCDateTime()
    inherit_cache = True


class epoch_seconds(FunctionElement[float]):
    """A point in time as seconds since 1970, a number that both drivers return unparsed."""

    type = Float()
    inherit_cache = True

    def __init__(self, moment: ColumnElement[Any] | InstrumentedAttribute[Any]) -> None:
        super().__init__(moment)


class bucket(FunctionElement[int]):
    """The number of the interval of `seconds`, counted from 1970, that contains a point in time."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, moment: ColumnElement[Any] | InstrumentedAttribute[Any], seconds: int):
        super().__init__(moment, literal_column(str(int(seconds))))


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return "now()"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return SQLITE_NOW


@compiles(right_now, "postgresql")
def _right_now_postgresql(element: right_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(right_now, "sqlite")
def _right_now_sqlite(element: right_now, compiler: SQLCompiler, **kw: Any) -> str:
    return SQLITE_NOW


@compiles(epoch_seconds, "postgresql")
def _epoch_postgresql(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    # date_part() returns a float, extract() a slower numeric.
    return f"date_part('epoch', {compiler.process(element.clauses, **kw)})"


@compiles(epoch_seconds, "sqlite")
def _epoch_sqlite(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    moment = compiler.process(element.clauses, **kw)
    # julianday() would be inexact by some microseconds.
    return f"strftime('%s', {moment}) + (strftime('%f', {moment}) - strftime('%S', {moment}))"


@compiles(bucket, "postgresql")
def _bucket_postgresql(element: bucket, compiler: SQLCompiler, **kw: Any) -> str:
    moment, seconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"floor(date_part('epoch', {moment}) / {seconds})::bigint"


@compiles(bucket, "sqlite")
def _bucket_sqlite(element: bucket, compiler: SQLCompiler, **kw: Any) -> str:
    moment, seconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(strftime('%s', {moment}) AS INTEGER) / {seconds}"


def read(db: Session) -> datetime:
    """The database's time at the start of this transaction. Needs no query of its own."""
    db.connection()
    moment: datetime = db.info["now"]
    return moment
