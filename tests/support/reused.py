"""What takes long to make and is always the same is made once for all tests of a process."""

import functools
from typing import Any

import httpcore2
import typer.testing
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_STATEMENTS = 5000


def share() -> None:
    """To be called once, before the first engine is used."""
    _share_compiled_statements()
    _share_migrations()
    # Each client of HTTP reads all authorities of the system, for 20 ms.
    httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)
    # Each command builds the tree of all commands, for 8 ms.
    setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))  # noqa: B010


def _share_compiled_statements() -> None:
    """Each application of a test has an engine of its own, which would compile all of them anew.

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


def _share_migrations() -> None:
    """Each use of alembic loads the modules of all migrations, for 11 ms."""
    load = ScriptDirectory.from_config
    loaded: dict[str | None, ScriptDirectory] = {}

    def load_once(config: Config) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in loaded:
            loaded[folder] = load(config)
        return loaded[folder]

    setattr(ScriptDirectory, "from_config", load_once)  # noqa: B010
