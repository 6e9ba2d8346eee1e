"""Counts attempts in the database, with counters that all workers share.

An attempt is counted by one statement before a password is hashed: parallel guesses cannot exceed a
limit. After a success the attempt is subtracted again.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.settings import DAY
from authentication.throttling.limits import Limit
from database import queries
from database.queries.throttle_counters import Count

# For a limit that only a success resets.
_RETRY_AFTER_SECONDS = DAY


class Exceeded(NamedTuple):
    """A limit that an attempt exceeds. `attempts` includes this one."""

    limit: Limit
    attempts: int
    retry_after_seconds: int


def count(
    db: Session, limits: Sequence[Limit], *, origin: Origin, in_equal_time: bool = False
) -> list[Exceeded]:
    """Counts an attempt. Returns the limits that it exceeds; if there are any, it must be rejected.

    A rejected attempt stays counted only towards the limits that it exceeds. Nothing is raised,
    because that would roll back the counters and the audit event. With `in_equal_time`, the same
    statements are executed whether any is exceeded or not.
    """
    counts = queries.throttle_counters.increment(db, [limit.key for limit in limits])
    exceeded = [
        Exceeded(limit, found.attempts, _seconds_until_allowed(limit, found))
        for limit in limits
        if (found := counts[limit.key.digest]).attempts > limit.maximum
    ]
    over = {one.limit for one in exceeded}
    undone = [limit.key for limit in limits if exceeded and limit not in over]
    if in_equal_time:
        undone += [queries.throttle_counters.NO_COUNTER] * (len(limits) - len(undone))
    if undone:
        queries.throttle_counters.undo(db, undone)
    if exceeded:
        _record(db, exceeded, origin)
    return exceeded


def undo_count(db: Session, limits: Sequence[Limit]) -> None:
    """Decrements the counters of an attempt that was not made. Earlier failures still count."""
    if limits:
        queries.throttle_counters.undo(db, [limit.key for limit in limits])


def record_success(
    db: Session,
    limits: Sequence[Limit],
    *,
    cleared: Sequence[Limit] = (),
    user_id: int | None = None,
) -> None:
    """Decrements the counters of a successful attempt, and resets those of failures in a row.

    Also resets the limits in `cleared`, and all failures in a row of the user with this id.
    """
    queries.throttle_counters.record_success(
        db,
        [limit.key for limit in limits if not limit.is_consecutive],
        reset=[
            limit.key for limit in (*limits, *cleared) if limit.is_consecutive or limit in cleared
        ],
        user_id=user_id,
    )


def longest_retry_after(exceeded: Sequence[Exceeded]) -> int:
    """Seconds until an attempt is within all of these limits again."""
    return max(one.retry_after_seconds for one in exceeded)


def _seconds_until_allowed(limit: Limit, found: Count) -> int:
    """The same for an account that exists and for one that does not."""
    if limit.is_consecutive or found.seconds_left is None:
        return _RETRY_AFTER_SECONDS
    return max(1, math.ceil(found.seconds_left))


def _record(db: Session, exceeded: Sequence[Exceeded], origin: Origin) -> None:
    # Only what first exceeds a limit: a flood must not fill the audit log as well.
    first = [one.limit for one in exceeded if one.attempts == one.limit.maximum + 1]
    events = [
        (audit.user(limit.key.user_id) if limit.key.user_id else None, {"limit": limit.name})
        for limit in first
    ]
    audit.record_all(db, Event.ATTEMPTS_THROTTLED, events, origin=origin)
