"""Increments and decrements throttle counters, any number of them by one statement.

Rows are written in the order of their keys, so that two transactions that share several of them
cannot deadlock.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import case, delete, select
from sqlalchemy.orm import Session

from database import clock
from database.models import ThrottleCounter
from database.queries import upsert


class CounterKey(NamedTuple):
    """Identifies a counter. `seconds` is the length of its window, None if it has no end."""

    digest: bytes
    user_id: int | None
    seconds: int | None


class Count(NamedTuple):
    """The value of a counter, and the seconds until its window ends (None if it does not)."""

    attempts: int
    seconds_left: float | None


def read(db: Session, keys: Sequence[CounterKey]) -> dict[bytes, Count]:
    """The counters whose window has not ended, by digest. Waits for no lock."""
    is_current = ThrottleCounter.ends_at.is_(None) | (ThrottleCounter.ends_at > clock.now())
    digests = [key.digest for key in keys]
    return _counts(
        db,
        db.execute(
            select(
                ThrottleCounter.key_digest, ThrottleCounter.attempts, ThrottleCounter.ends_at
            ).where(ThrottleCounter.key_digest.in_(digests), is_current)
        ),
    )


def increment(db: Session, keys: Sequence[CounterKey]) -> dict[bytes, Count]:
    """Add one to each counter and return them by digest. A window that has ended begins anew.

    The statement locks the rows it returns, so concurrent callers never see the same count.
    """
    statement = upsert.insert(db, ThrottleCounter)
    ended = ThrottleCounter.ends_at <= clock.now()
    rows = db.execute(
        statement.on_conflict_do_update(
            index_elements=[ThrottleCounter.key_digest],
            set_={
                "attempts": case((ended, 1), else_=ThrottleCounter.attempts + 1),
                "ends_at": case((ended, statement.excluded.ends_at), else_=ThrottleCounter.ends_at),
            },
        ).returning(ThrottleCounter.key_digest, ThrottleCounter.attempts, ThrottleCounter.ends_at),
        _rows(db, keys, attempts=1),
    )
    return _counts(db, rows)


def decrement(db: Session, keys: Sequence[CounterKey], *, reset_consecutive: bool = False) -> None:
    """Subtract one from each counter. `reset_consecutive` sets those without an end to zero."""
    if not keys:
        return
    statement = upsert.insert(db, ThrottleCounter)
    is_zero = ThrottleCounter.attempts < 1
    if reset_consecutive:
        is_zero |= ThrottleCounter.ends_at.is_(None)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=[ThrottleCounter.key_digest],
            set_={"attempts": case((is_zero, 0), else_=ThrottleCounter.attempts - 1)},
        ),
        _rows(db, keys, attempts=0),
    )


def delete_of_user(db: Session, user_id: int) -> None:
    """Delete all counters of a user."""
    in_order = (
        select(ThrottleCounter.id)
        .where(ThrottleCounter.user_id == user_id)
        .order_by(ThrottleCounter.key_digest)
        .with_for_update()
    )
    db.execute(
        delete(ThrottleCounter)
        .where(ThrottleCounter.id.in_(in_order))
        .execution_options(synchronize_session=False)
    )


def _counts(db: Session, rows: Iterable[Any]) -> dict[bytes, Count]:
    now = clock.read(db)
    return {
        digest: Count(attempts, (ends_at - now).total_seconds() if ends_at else None)
        for digest, attempts, ends_at in rows
    }


def _rows(db: Session, keys: Sequence[CounterKey], *, attempts: int) -> list[dict[str, object]]:
    now = clock.read(db)
    return [
        {
            "key_digest": key.digest,
            "user_id": key.user_id,
            "attempts": attempts,
            "ends_at": None if key.seconds is None else now + timedelta(seconds=key.seconds),
        }
        for key in sorted(keys)
    ]
