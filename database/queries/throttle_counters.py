"""Increments and decrements throttle counters, any number of them by one statement.

Rows are locked in the order of their keys, so that two transactions that share several of them
cannot deadlock.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    Select,
    Table,
    Update,
    bindparam,
    case,
    delete,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from database import clock
from database.base import UTCDateTime
from database.models import ThrottleCounter
from database.queries import upsert

# SQLAlchemy inserts into a table in half the time in which it inserts objects of a model.
_TABLE = cast(Table, ThrottleCounter.__table__)
# Before the beginning of any transaction that may increment the counter.
_ENDED = literal(datetime(1970, 1, 2, tzinfo=UTC), UTCDateTime)


class CounterKey(NamedTuple):
    """Identifies a counter. `seconds` is the length of its window, None if it has no end."""

    digest: bytes
    user_id: int | None
    seconds: int | None


NO_COUNTER = CounterKey(bytes(32), None, None)
"""The key of none. What is done to it takes as long as if there were one."""


class Count(NamedTuple):
    """The value of a counter, and the seconds until its window ends (None if it does not)."""

    attempts: int
    seconds_left: float | None


def increment(db: Session, keys: Sequence[CounterKey]) -> dict[bytes, Count]:
    """Add one to each counter and return them by digest. A window that has ended begins anew.

    The statement locks the rows it returns, so concurrent callers never see the same count.
    """
    if not keys:
        return {}
    return _counts(db, db.execute(_increment(upsert.dialect_of(db)), _rows(db, keys)))


@cache
def _increment(dialect: str) -> Any:
    """Built once for each dialect, as building it takes longer than running it."""
    statement, counter = upsert.insert_for(dialect, _TABLE), _TABLE.c
    ended = counter.ends_at <= clock.now()
    return statement.on_conflict_do_update(
        index_elements=[counter.key_digest],
        set_={
            "attempts": case((ended, 1), else_=counter.attempts + 1),
            "ends_at": case((ended, statement.excluded.ends_at), else_=counter.ends_at),
        },
    ).returning(counter.key_digest, counter.attempts, counter.ends_at)


def undo(db: Session, keys: Sequence[CounterKey]) -> None:
    """Subtract one from each counter, and delete those that are back at zero.

    Otherwise attempts that are never made, under names that are made up, would leave a row each.
    """
    found = {"digests": [key.digest for key in keys]}
    if any(attempts <= 1 for attempts in db.scalars(_LOCK, found).all()):
        db.execute(_DELETE_LAST, found)
    db.execute(_SUBTRACT, found)


_DIGESTS: BindParameter[Any] = bindparam("digests", expanding=True)
_IS_FOUND = _TABLE.c.key_digest.in_(_DIGESTS)
_LOCK = select(_TABLE.c.attempts).where(_IS_FOUND).order_by(_TABLE.c.key_digest).with_for_update()
_DELETE_LAST = delete(_TABLE).where(_IS_FOUND, _TABLE.c.attempts <= 1)
_SUBTRACT = update(_TABLE).where(_IS_FOUND).values(attempts=_TABLE.c.attempts - 1)


def record_success(
    db: Session,
    keys: Sequence[CounterKey],
    *,
    reset: Sequence[CounterKey],
    user_id: int | None = None,
) -> None:
    """Subtract one from each counter, and end those to reset.

    With a user, also all counters of the user that have no end. One that has ended begins anew when
    it is next incremented, and pruning deletes it.
    """
    if not (keys or reset or user_id):
        return
    is_reset: ColumnElement[bool] = ThrottleCounter.key_digest.in_([key.digest for key in reset])
    if user_id is not None:
        is_reset |= (ThrottleCounter.user_id == user_id) & ThrottleCounter.ends_at.is_(None)
    is_counted = ThrottleCounter.key_digest.in_([key.digest for key in keys])
    is_zero = is_reset | (ThrottleCounter.attempts < 1)
    _execute(
        db,
        update(ThrottleCounter)
        .where(ThrottleCounter.id.in_(_locked(is_counted | is_reset)))
        .values(
            attempts=case((is_zero, 0), else_=ThrottleCounter.attempts - 1),
            ends_at=case((is_reset, _ENDED), else_=ThrottleCounter.ends_at),
        ),
    )


def delete_of_user(db: Session, user_id: int) -> None:
    """Delete all counters of a user."""
    its_ids = _locked(ThrottleCounter.user_id == user_id)
    _execute(db, delete(ThrottleCounter).where(ThrottleCounter.id.in_(its_ids)))


def _execute(db: Session, statement: Update | Delete) -> None:
    db.execute(statement.execution_options(synchronize_session=False))


def _locked(condition: ColumnElement[bool]) -> Select[int]:
    in_order = select(ThrottleCounter.id).where(condition).order_by(ThrottleCounter.key_digest)
    return in_order.with_for_update()


def _counts(db: Session, rows: Iterable[Any]) -> dict[bytes, Count]:
    now = clock.read(db)
    return {
        digest: Count(attempts, (ends_at - now).total_seconds() if ends_at else None)
        for digest, attempts, ends_at in rows
    }


def _rows(db: Session, keys: Sequence[CounterKey]) -> list[dict[str, object]]:
    now = clock.read(db)
    return [
        {
            "key_digest": key.digest,
            "user_id": key.user_id,
            "attempts": 1,
            "ends_at": None if key.seconds is None else now + timedelta(seconds=key.seconds),
        }
        for key in sorted(keys)
    ]
