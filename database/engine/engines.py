"""Makes engines, all in one way: for requests, for commands and for migrations."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, pool, text

from counterfoil.lookup.reigns import Reigns
from database import clock
from database.base import UTCDateTime
from database.engine import postgresql, sqlite, stored_json
from database.settings import DatabaseSettings

_BEGIN_SQLITE = text(f"SELECT {clock.SQLITE_NOW} AS now").columns(now=UTCDateTime)
# How long an unpooled connection waits for one step of connecting, and for a locked SQLite file.
_PATIENCE_SECONDS = 10.0
_BUSY_SECONDS = 60.0


def create_pooled(
    settings: DatabaseSettings,
    *,
    on_abandoned: Callable[[], None] | None = None,
    reigns: Reigns | None = None,
) -> Engine:
    """An engine for requests. `on_abandoned` is called for each COMMIT that is not answered.

    With `reigns`, former primaries are not connected to.
    """
    seconds = settings.database_deadline_seconds
    engine = create_engine(
        settings.url,
        pool_size=settings.database_pool_size,
        # Pruning and deferred writes need connections too, beside the requests.
        max_overflow=2,
        pool_timeout=seconds,
        # An echoed parameter may be a password hash or a digest.
        hide_parameters=True,
        json_deserializer=stored_json.read_object,
        **_driver_options(settings.url),
    )
    if engine.dialect.name == "sqlite":
        sqlite.configure(engine, busy_seconds=seconds)
        sqlite.read_any_text(engine)
    else:
        postgresql.configure(
            engine, patience_seconds=seconds / 3, on_abandoned=on_abandoned, reigns=reigns
        )
    return engine


def create_single(url: URL, *, foreign_keys: bool = True) -> Engine:
    """An engine without a pool. Migrations disable foreign keys: see database/engine/sqlite.py."""
    options = _driver_options(url)
    engine = create_engine(url, poolclass=pool.NullPool, hide_parameters=True, **options)
    if engine.dialect.name == "sqlite":
        sqlite.configure(engine, busy_seconds=_BUSY_SECONDS, foreign_keys=foreign_keys)
    else:
        postgresql.configure(engine, patience_seconds=_PATIENCE_SECONDS)
    return engine


def _driver_options(url: URL) -> dict[str, bool]:
    """Where a database has hstore, SQLAlchemy would let psycopg2 take every dict for one.

    That is for the whole process, and so for the connections of an application that embeds us.
    """
    return {} if url.get_backend_name() == "sqlite" else {"use_native_hstore": False}


def begin(connection: Connection) -> datetime:
    """The first statement of every transaction. Returns the time that counts in it.

    Raises DatabaseUnavailable on a standby.
    """
    if connection.dialect.name == "sqlite":
        moment: Any = connection.scalar(_BEGIN_SQLITE)
    else:
        moment = postgresql.begin(connection)
    now: datetime = moment
    return now


def reject_unsuitable(connection: Connection) -> None:
    """Raises UnsuitableDatabase."""
    if connection.dialect.name == "postgresql":
        postgresql.reject_unsuitable(connection)
