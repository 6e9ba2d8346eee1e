"""The database's clock, which judges every expiry.

Two nodes whose clocks differ agree on what has expired, because neither is asked.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from database.base import UTCDateTime

# What SQLite compares as text must be written the way SQLAlchemy stores it.
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


class now(FunctionElement[datetime]):
    """The time of the running transaction, as a SQL expression."""

    type = UTCDateTime()
    inherit_cache = True


class right_now(FunctionElement[datetime]):
    """The time of evaluation, also late in a transaction that has waited for another."""

    type = UTCDateTime()
    inherit_cache = True


class epoch_seconds(FunctionElement[float]):
    """A point in time as seconds since 1970, which both drivers hand over without a parser."""

    type = Float()
    inherit_cache = True

    def __init__(self, moment: ColumnElement[Any] | InstrumentedAttribute[Any]) -> None:
        super().__init__(moment)


class bucket(FunctionElement[int]):
    """The number of the stretch of so many seconds, counted from 1970, that a moment falls into."""

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
    # Unlike extract(), which takes a detour through numeric, this returns a float.
    return f"date_part('epoch', {compiler.process(element.clauses, **kw)})"


@compiles(epoch_seconds, "sqlite")
def _epoch_sqlite(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    moment = compiler.process(element.clauses, **kw)
    # julianday() is off by some microseconds; whole seconds and the fraction are not.
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
    """The database's time at which this transaction began. Costs no query of its own."""
    db.connection()
    moment: datetime = db.info["now"]
    return moment
