"""Lets all engines of a test process share the statements that SQLAlchemy has compiled.

Each application of a test has an engine of its own, and each engine would compile every statement
anew, which is a fifth of the time that the tests take.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_STATEMENTS = 5000


def share() -> None:
    """To be called once, before the first engine is used.

    A dialect belongs to the key of a compiled statement. There is one server of each kind, so that
    all dialects of a kind compile alike.
    """
    shared: LRUCache[Any, Any] = LRUCache(_STATEMENTS)
    for dialect in (PGDialect_psycopg2, SQLiteDialect_pysqlite):
        # By setattr, as the type checker holds methods to the signatures of `object`.
        setattr(dialect, "__eq__", lambda one, other: type(one) is type(other))  # noqa: B010
        setattr(dialect, "__hash__", lambda one: hash(type(one)))  # noqa: B010

    def use_shared(connection: Connection) -> None:
        connection.engine._compiled_cache = shared

    event.listen(Engine, "engine_connect", use_shared)
