"""Removes what can no longer be used, in small batches, so that nobody waits for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from database.queries import maintenance
from database.session import Database

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """How many rows of a table one batch removed."""

    table: str
    rows: int


def count_prunable(database: Database, *, keep_days: int) -> dict[str, int]:
    """How many rows `prune` would remove, by table. What falls with a session is not counted."""
    with database.transaction(read_only=True) as session:
        return {
            table: maintenance.count(session, table, keep_days=keep_days)
            for table in maintenance.TABLES
        }


def prune(database: Database, *, keep_days: int) -> Iterator[Progress]:
    """Remove what ended more than `keep_days` days ago, a batch a transaction.

    A used refresh token is kept until it would have expired: its return betrays a theft.
    """
    for table in maintenance.TABLES:
        rows = BATCH
        while rows == BATCH:
            with database.transaction() as session:
                rows = maintenance.prune(session, table, keep_days=keep_days, limit=BATCH)
            yield Progress(table, rows)
