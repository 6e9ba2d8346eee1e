"""Raises and lowers throttle counters, any number of them by one statement.

The rows are written in the order of their keys, so that two callers who share several of them wait
in line instead of for each other.
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
    """What to count under. `seconds` is the length of the window; None for one without an end."""

    digest: bytes
    user_id: int | None
    seconds: int | None


class Count(NamedTuple):
    """Where a counter stands, and in how many seconds its window ends, if it does."""

    attempts: int
    seconds_left: float | None


def read(db: Session, keys: Sequence[CounterKey]) -> dict[bytes, Count]:
    """Where those counters stand whose window runs, by digest. Waits for no lock."""
    runs = ThrottleCounter.ends_at.is_(None) | (ThrottleCounter.ends_at > clock.now())
    digests = [key.digest for key in keys]
    return _counts(
        db,
        db.execute(
            select(
                ThrottleCounter.key_digest, ThrottleCounter.attempts, ThrottleCounter.ends_at
            ).where(ThrottleCounter.key_digest.in_(digests), runs)
        ),
    )


def increment(db: Session, keys: Sequence[CounterKey]) -> dict[bytes, Count]:
    """Raise each by one; a window that has ended begins anew. Returns where they stand, by digest.

    What the statement returns it has also locked: of any number at once no two see the same count.
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


def decrement(db: Session, keys: Sequence[CounterKey], *, ending_rows: bool = False) -> None:
    """Give one back to each; `ending_rows` sets those whose window has no end back to nothing."""
    if not keys:
        return
    statement = upsert.insert(db, ThrottleCounter)
    is_nothing = ThrottleCounter.attempts < 1
    if ending_rows:
        is_nothing |= ThrottleCounter.ends_at.is_(None)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=[ThrottleCounter.key_digest],
            set_={"attempts": case((is_nothing, 0), else_=ThrottleCounter.attempts - 1)},
        ),
        _rows(db, keys, attempts=0),
    )


def delete_of_user(db: Session, user_id: int) -> None:
    """Forget every attempt on an account."""
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
