"""Transactions: returning commits, raising rolls back, and no wait is longer than the deadline."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import QueuePool

from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from counterfoil.lookup.reigns import Reigns
from database.engine import deadlines, engines, postgresql
from database.engine.commits import AbandonedCommits, CommitNotConfirmed
from database.engine.disk import Disk
from database.errors import is_outage, reason_of
from database.settings import DatabaseSettings

T = TypeVar("T")

_RESERVED_SHARE = 0.2


class Database:
    """The connections of one process, given out for one transaction at a time."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.disk = Disk(settings)
        self.commits_unconfirmed = 0
        """How many commits were not confirmed, because their wait for a standby was cancelled."""
        self._abandoned = AbandonedCommits(settings.database_pool_size, self._count_waiting_commits)
        self.reigns = Reigns()
        """What is known of the primary and its predecessors. Empty without standbys."""
        self.engine = engines.create_pooled(
            settings, on_abandoned=self._abandoned.add, reigns=self.reigns
        )
        options: dict[str, Any] = (
            {"reigns": self.reigns, "fencing_seconds": settings.fencing_seconds}
            if settings.has_reigns
            else {}
        )
        self._writer = self.engine.execution_options(**options)
        self._reader = self.engine.execution_options(read_only=True, **options)
        # Whoever wants to hear of commits listens to these sessions.
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)
        event.listen(self.sessions, "after_begin", _begin)
        # As many at work as there are connections: nobody waits in the pool holding a thread.
        self._slots = CapacityLimiter(settings.database_pool_size)
        # Some connections are left for those who are logged in, whatever all others send.
        reserved = math.ceil(_RESERVED_SHARE * settings.database_pool_size)
        self._untrusted_slots = CapacityLimiter(max(1, settings.database_pool_size - reserved))

    @contextmanager
    def transaction(
        self, *, read_only: bool = False, in_any_reign: bool = False
    ) -> Iterator[Session]:
        """A transaction for commands and threads of our own; async code uses `run`.

        `in_any_reign` is for what decides which server is the primary. Raises DatabaseUnavailable.
        """
        with self._unavailable_by_one_name():
            if not read_only:
                self._abandoned.refresh()
            with self._open(read_only, in_any_reign) as db:
                yield db

    async def run(
        self,
        work: Callable[[Session], T],
        *,
        read_only: bool = False,
        is_untrusted: bool = False,
    ) -> T:
        """Do `work` in a transaction of its own, in a thread. Raises DatabaseUnavailable.

        `is_untrusted` is for what anybody can cause, without logging in: it cannot take all
        connections.
        """

        def transaction() -> T:
            with self.transaction(read_only=read_only) as db:
                return work(db)

        with self._unavailable_by_one_name(), self._deadline():
            async with self._slot(is_untrusted=is_untrusted):
                return await _in_thread(transaction)

    @asynccontextmanager
    async def session(self, *, read_only: bool = False) -> AsyncIterator[Session]:
        """A transaction whose work is done in threads. It is over when the block is left.

        Raises DatabaseUnavailable once the deadline has passed, with nothing half done.
        """
        with self._unavailable_by_one_name(), self._deadline():
            async with self._slot():
                if not (read_only or self._abandoned.is_empty()):
                    await _in_thread(self._abandoned.refresh)
                transaction = self._open(read_only)
                # Sends nothing: the transaction begins with the first statement.
                db = transaction.__enter__()
                try:
                    yield db
                except BaseException as error:
                    with anyio.CancelScope(shield=True):
                        await _in_thread(partial(_leave, transaction, error))
                    raise
                else:
                    await _in_thread(partial(_leave, transaction, None))

    @contextmanager
    def _open(self, read_only: bool, in_any_reign: bool = False) -> Iterator[Session]:
        """A session in a transaction, which ends with the block."""
        if read_only:
            with self.sessions(bind=self._reader) as db, db.begin():
                yield db
            return
        writer = self.engine if in_any_reign else self._writer
        with self._abandoned.writing(), self.sessions(bind=writer) as db:
            try:
                with db.begin():
                    yield db
            except CounterfoilError:
                _confirm(db)
                raise

    @contextmanager
    def _unavailable_by_one_name(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise DatabaseUnavailable("every connection is in use") from error
        except DBAPIError as error:
            if not is_outage(error):
                raise
            self.disk.note(error)
            if isinstance(error.orig, CommitNotConfirmed):
                self.commits_unconfirmed += 1
            raise DatabaseUnavailable(f"{type(error.orig).__name__}: {reason_of(error)}") from error

    def _count_waiting_commits(self) -> int:
        with self.transaction(read_only=True) as db:
            return postgresql.count_waiting_commits(db.connection())

    def _deadline(self) -> AbstractContextManager[None]:
        return deadlines.deadline(self.settings.database_deadline_seconds)

    @asynccontextmanager
    async def _slot(self, *, is_untrusted: bool = False) -> AsyncIterator[None]:
        if not is_untrusted:
            async with _held(self._slots):
                yield
            return
        async with _held(self._untrusted_slots), _held(self._slots):
            yield

    @property
    def commits_abandoned(self) -> int:
        """How many commits were not answered within the deadline."""
        return self._abandoned.total

    def connections_in_use(self) -> int:
        """How many are given out at this moment."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    def waiting(self) -> int:
        """How many transactions wait for a connection at this moment."""
        limiters = (self._slots, self._untrusted_slots)
        return sum(limiter.statistics().tasks_waiting for limiter in limiters)

    def close(self) -> None:
        """Give back every connection that is not in use."""
        self.engine.dispose()


@asynccontextmanager
async def _held(slots: CapacityLimiter) -> AsyncIterator[None]:
    holder = object()
    try:
        with anyio.fail_after(deadlines.remaining_seconds()):
            await slots.acquire_on_behalf_of(holder)
    except TimeoutError:
        raise DatabaseUnavailable("every connection is in use") from None
    try:
        yield
    finally:
        slots.release_on_behalf_of(holder)


def _leave(transaction: AbstractContextManager[Session], error: BaseException | None) -> None:
    transaction.__exit__(type(error) if error else None, error, None)


async def _in_thread(work: Callable[[], T]) -> T:
    """Does not return before the thread has, even if cancelled: it is using our session."""
    thread = asyncio.ensure_future(to_thread.run_sync(work))
    try:
        return await asyncio.shield(thread)
    finally:
        if not thread.done():
            await asyncio.wait({thread})


def _begin(db: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if not connection.in_nested_transaction():
        db.info["now"] = engines.begin(connection)


def _confirm(db: Session) -> None:
    """Wait until everything that the transaction has read is durable.

    "There is no such live session" acknowledges a revocation as a success does, and the commit that
    revoked the session may not have been confirmed.
    """
    if "now" in db.info and db.get_bind().dialect.name == "postgresql":
        with db.begin():
            db.connection()
