"""Transactions: returning commits, raising rolls back, and no wait is longer than the deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import QueuePool

from counterfoil.errors import DatabaseUnavailable
from database import clock
from database.base import UTCDateTime
from database.engine import deadlines, postgresql, sqlite
from database.errors import is_outage
from database.settings import DatabaseSettings

_BEGIN_SQLITE = text(f"SELECT {clock.SQLITE_NOW} AS now").columns(now=UTCDateTime)

T = TypeVar("T")


class Database:
    """The connections of one process, given out for one transaction at a time."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.engine = create_database_engine(settings)
        self._reader = self.engine.execution_options(read_only=True)
        # Whoever wants to hear of commits listens to these sessions.
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)
        # As many at work as there are connections: nobody waits in the pool holding a thread.
        self._slots = CapacityLimiter(settings.database_pool_size)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Session]:
        """A transaction for commands and threads of our own; async code uses `run`."""
        with _unavailable_by_one_name(), self._open(read_only) as db, db.begin():
            yield db

    async def run(self, work: Callable[[Session], T], *, read_only: bool = False) -> T:
        """Do `work` in a transaction of its own, in a thread. Raises DatabaseUnavailable."""

        def transaction() -> T:
            with self._open(read_only) as db, db.begin():
                return work(db)

        with _unavailable_by_one_name(), self._deadline():
            async with self._slot():
                return await _in_thread(transaction)

    @asynccontextmanager
    async def session(self, *, read_only: bool = False) -> AsyncIterator[Session]:
        """A transaction whose work is done in threads. It is over when the block is left.

        Raises DatabaseUnavailable once the deadline has passed, with nothing half done.
        """
        with _unavailable_by_one_name(), self._deadline():
            async with self._slot():
                db = self._open(read_only)
                try:
                    yield db
                    await _in_thread(db.commit)
                finally:
                    with anyio.CancelScope(shield=True):
                        await _in_thread(db.close)

    def _deadline(self) -> AbstractContextManager[None]:
        return deadlines.deadline(self.settings.database_deadline_seconds)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        holder = object()
        try:
            with anyio.fail_after(deadlines.remaining_seconds()):
                await self._slots.acquire_on_behalf_of(holder)
        except TimeoutError:
            raise DatabaseUnavailable("every connection is in use") from None
        try:
            yield
        finally:
            self._slots.release_on_behalf_of(holder)

    def _open(self, read_only: bool) -> Session:
        return self.sessions(bind=self._reader) if read_only else self.sessions()

    def connections_in_use(self) -> int:
        """How many are given out at this moment."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    def waiting(self) -> int:
        """How many transactions wait for a connection at this moment."""
        return self._slots.statistics().tasks_waiting

    def close(self) -> None:
        """Give back every connection that is not in use."""
        self.engine.dispose()


def create_database_engine(settings: DatabaseSettings, **options: Any) -> Engine:
    """An engine whose connections keep foreign keys, the deadline and one clock."""
    options = {
        "pool_size": settings.database_pool_size,
        # Pruning and deferred writes need connections too, beside the requests.
        "max_overflow": 2,
        "pool_timeout": settings.database_deadline_seconds,
        # An echoed parameter may be a password hash or a digest.
        "hide_parameters": True,
        **options,
    }
    if settings.url.get_backend_name() == "sqlite":
        engine = create_engine(settings.url, **options)
        sqlite.configure(engine, busy_seconds=settings.database_deadline_seconds)
        return engine
    engine = create_engine(settings.url, **options)
    postgresql.configure(engine, patience_seconds=settings.database_deadline_seconds / 3)
    return engine


async def _in_thread(work: Callable[[], T]) -> T:
    """Does not return before the thread has, even if cancelled: it is using our session."""
    thread = asyncio.ensure_future(to_thread.run_sync(work))
    try:
        return await asyncio.shield(thread)
    finally:
        if not thread.done():
            await asyncio.wait({thread})


@event.listens_for(Session, "after_begin")
def _begin(db: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if connection.in_nested_transaction():
        return
    if connection.dialect.name == "sqlite":
        db.info["now"] = connection.scalar(_BEGIN_SQLITE)
    else:
        db.info["now"] = postgresql.begin(connection)


@contextmanager
def _unavailable_by_one_name() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("every connection is in use") from error
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise DatabaseUnavailable(type(error.orig).__name__) from error
