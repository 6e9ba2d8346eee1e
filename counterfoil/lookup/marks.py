"""Marks: how a standby shows that it has replayed every revocation that was acknowledged so far.

A mark is a position in the primary's write-ahead log, taken after a request has arrived. A standby
that has replayed the log up to there knows whatever was committed before the request. The reign
belongs to it: after a promotion, two servers continue the log differently from one position.
"""

from enum import StrEnum
from typing import NamedTuple

from counterfoil.errors import DatabaseUnavailable

# The first eight digits of a file of the log are the timeline, which each promotion changes.
TIMELINE = "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
# What is inserted, not what is flushed: a commit with `synchronous_commit = off` is acknowledged
# before it is flushed. Returns no row if the reign is that of a former primary.
MARK = (
    "SELECT pg_current_wal_insert_lsn()::text, nonce::text, number, beat FROM reign"  # noqa: S608
    f" WHERE timeline = {TIMELINE}"
)

PREPARE_WAIT = "PREPARE wait (pg_lsn, uuid, interval) AS SELECT wait_for_mark($1, $2, $3)"


class Mark(NamedTuple):
    """`number` counts the reigns, and `beat` what shows that this one goes on.

    `system` identifies the cluster, with all its copies.
    """

    position: str
    nonce: str
    number: int
    beat: int
    system: int

    def wait(self, patience_ms: int, *, is_prepared: bool) -> str:
        """The statement that fails on a standby that does not reach this mark so soon."""
        call = "EXECUTE wait" if is_prepared else "SELECT wait_for_mark"
        return f"{call} ('{self.position}', '{self.nonce}', '{patience_ms} ms')"


class Outcome(StrEnum):
    """What became of a batch that was sent to a standby."""

    ANSWERED = "answered"
    BEHIND = "behind"
    LATE = "late"
    NOT_A_STANDBY = "not_a_standby"
    OTHER_REIGN = "other_reign"
    CONFLICT = "conflict"
    SILENT = "silent"
    LOST = "lost"


SQLSTATES = {
    "CF001": Outcome.BEHIND,
    "CF002": Outcome.NOT_A_STANDBY,
    "CF003": Outcome.OTHER_REIGN,
    "40001": Outcome.CONFLICT,
}
REASONS = {
    Outcome.BEHIND: "it is behind the primary",
    Outcome.LATE: "it answers too late",
    Outcome.NOT_A_STANDBY: "it is not a standby",
    Outcome.OTHER_REIGN: "it does not follow the primary",
    Outcome.CONFLICT: "its recovery has cancelled the lookup",
    Outcome.SILENT: "it does not answer",
    Outcome.LOST: "there is no connection to it",
}


class StandbyFailed(DatabaseUnavailable):
    """The standby has not answered a batch, and the primary has to."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(f"the standby was not used: {REASONS[outcome]}")
