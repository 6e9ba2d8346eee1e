"""Removes what can no longer be used, in small batches, so that nobody waits for it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from database import queries
from database.engine.session import Database
from database.queries.maintenance import Ages, Batch

Transaction = Callable[[], AbstractContextManager[Session]]

BATCH = 2000
# Sessions looked through at a time for those that are lost.
SPAN = 1000
BEGINNING = UUID(int=0)

_CHORES: tuple[Callable[[Session, Ages, int], Batch], ...] = (
    queries.maintenance.prune_tokens,
    queries.maintenance.prune_expired_sessions,
    queries.maintenance.prune_revoked_sessions,
    queries.maintenance.prune_expired_api_keys,
    queries.maintenance.prune_revoked_api_keys,
    queries.maintenance.prune_throttle_counters,
    queries.maintenance.prune_known_addresses,
    queries.maintenance.prune_audit_events,
)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days what has ended stays, and what was recorded. None keeps the record for ever."""

    keep_days: int
    audit_keep_days: int | None = None

    def ages(self, db: Session) -> Ages:
        """The same as moments."""
        return queries.maintenance.ages(
            db, keep_days=self.keep_days, audit_keep_days=self.audit_keep_days
        )


class Swept(NamedTuple):
    """What one step of `sweep` removed, by table, and where the next one has to begin."""

    rows: dict[str, int]
    position: UUID


class Busy(Exception):
    """Another process is pruning at this moment."""


def count_prunable(database: Database, retention: Retention) -> dict[str, int]:
    """How many rows `prune` and `sweep` would remove, by table.

    Refresh tokens are not counted: each falls with its access token.
    """
    with database.transaction(read_only=True) as db:
        return queries.maintenance.count(db, retention.ages(db))


def remove(database: Database, retention: Retention) -> Iterator[dict[str, int]]:
    """All that can be removed now, batch after batch, for a command. Waits for its turn."""
    yield from prune(database.transaction, retention, wait=True)
    for step in sweep(database.transaction, retention, wait=True):
        yield step.rows


def prune(
    transaction: Transaction, retention: Retention, *, batch: int = BATCH, wait: bool = False
) -> Iterator[dict[str, int]]:
    """Remove what has ended, a batch a transaction. Yields the rows removed, by table.

    Raises Busy if another process is at it, unless it is to wait for its turn.
    """
    for chore in _CHORES:
        more = True
        while more:
            with transaction() as db:
                _take_turn(db, wait=wait)
                rows, more = chore(db, retention.ages(db), batch)
            yield rows


def sweep(
    transaction: Transaction,
    retention: Retention,
    *,
    position: UUID = BEGINNING,
    batch: int = BATCH,
    wait: bool = False,
) -> Iterator[Swept]:
    """Remove sessions whose end nothing records: those left behind by their user's epoch, and those
    all of whose tokens are gone. No index finds them, so this walks through the table.

    Raises Busy as `prune` does.
    """
    while True:
        with transaction() as db:
            _take_turn(db, wait=wait)
            span = queries.maintenance.next_span(db, position, SPAN)
            lost = queries.maintenance.prune_lost_sessions(db, retention.ages(db), batch, span)
        if not lost.more:
            position = span.until or BEGINNING
        yield Swept(lost.rows, position)
        if position == BEGINNING and not lost.more:
            return


def _take_turn(db: Session, *, wait: bool) -> None:
    if not queries.maintenance.take_turn(db, wait=wait):
        raise Busy
