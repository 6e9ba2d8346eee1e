"""Deletes rows that have expired or were revoked, in batches short enough not to delay requests."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from database import queries
from database.engine.session import Database
from database.queries.pruning import TABLE_START, Batch, Cutoffs

Transaction = Callable[[], AbstractContextManager[Session]]

BATCH_ROWS = 2000
# Sessions of the table that one step of `prune_unusable_sessions` reads, in about 0.1 s.
SCAN_ROWS = 50_000

_STEPS: tuple[Callable[[Session, Cutoffs, int], Batch], ...] = (
    queries.pruning.prune_tokens,
    queries.pruning.prune_expired_sessions,
    queries.pruning.prune_revoked_sessions,
    queries.pruning.prune_expired_api_keys,
    queries.pruning.prune_revoked_api_keys,
    queries.pruning.prune_api_key_uses,
    queries.pruning.prune_throttle_counters,
    queries.pruning.prune_released_names,
    queries.pruning.prune_known_addresses,
    queries.pruning.prune_mail_tokens,
    queries.pruning.prune_challenges,
    queries.pruning.prune_outbox,
    queries.pruning.prune_authorization_requests,
    queries.pruning.prune_authorization_codes,
    queries.pruning.prune_device_codes,
    queries.pruning.prune_audit_events,
)


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days expired and revoked rows, and audit events, are kept. None: for ever."""

    keep_days: int
    audit_keep_days: int | None = None

    def cutoffs(self, db: Session) -> Cutoffs:
        """The times before which rows are deleted, by the database's clock."""
        return queries.pruning.cutoffs(
            db, keep_days=self.keep_days, audit_keep_days=self.audit_keep_days
        )


class PrunedElsewhere(Exception):
    """Another process is pruning at this moment."""


def count_prunable(database: Database, retention: Retention) -> dict[str, int]:
    """How many rows `prune_all` would delete, by table.

    Refresh tokens are not counted, as each is deleted with its access token.
    """
    with database.transaction(read_only=True) as db:
        return queries.pruning.count(db, retention.cutoffs(db))


def prune_all(database: Database, retention: Retention) -> Iterator[dict[str, int]]:
    """Delete everything that can be deleted now. Yields the rows of each batch, by table.

    Waits while another process is pruning.
    """
    yield from prune_ended(database.transaction, retention, wait=True)
    with database.transaction() as db:
        queries.pruning.continue_after(db, TABLE_START)
    yield from prune_unusable_sessions(database.transaction, retention, wait=True)


def prune_ended(
    transaction: Transaction,
    retention: Retention,
    *,
    batch_rows: int = BATCH_ROWS,
    wait: bool = False,
) -> Iterator[dict[str, int]]:
    """Delete what has expired or was revoked, one batch per transaction. Yields rows by table.

    Raises PrunedElsewhere if another process is pruning, unless `wait` is true.
    """
    for prune_batch in _STEPS:
        more = True
        while more:
            with transaction() as db:
                _lock(db, wait=wait)
                rows, more = prune_batch(db, retention.cutoffs(db), batch_rows)
            yield rows


def prune_unusable_sessions(
    transaction: Transaction,
    retention: Retention,
    *,
    batch_rows: int = BATCH_ROWS,
    wait: bool = False,
) -> Iterator[dict[str, int]]:
    """Delete sessions that no column marks as ended, but whose epoch is old or tokens are gone.

    No index finds them, so this scans the table, from where the last scan stopped to its end. How
    far it came is kept in the database, for all processes. Raises PrunedElsewhere as `prune_ended`
    does.
    """
    finished = False
    while not finished:
        with transaction() as db:
            _lock(db, wait=wait)
            scanned = queries.pruning.next_range(db, SCAN_ROWS)
            rows, more = queries.pruning.prune_unusable_sessions(
                db, retention.cutoffs(db), batch_rows, scanned
            )
            if not more:
                queries.pruning.continue_after(db, scanned.last or TABLE_START)
                finished = scanned.last is None
        yield rows


def _lock(db: Session, *, wait: bool) -> None:
    if not queries.pruning.lock(db, wait=wait):
        raise PrunedElsewhere
