"""Counts events, sessions and users for the console's overview.

Time is divided into buckets of equal length: bucket n begins n times that length after 1970.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, select, union_all
from sqlalchemy.orm import Session

from database import clock
from database.models import AuditEvent, LoginSession, User
from database.queries import live

_UNREVOKED = LoginSession.revoked_at.is_(None)


class EventCount(NamedTuple):
    """The number of events of a kind in a bucket, or of the sessions that they revoked."""

    bucket: int
    event: str
    total: int


def count_events(
    db: Session, events: Sequence[str], *, since: datetime, seconds: int
) -> list[EventCount]:
    """The number of these events in each bucket of `seconds`, from `since` on."""
    return _count_events(db, events, func.count(), since=since, seconds=seconds)


def count_sessions_in_events(
    db: Session, event: str, *, since: datetime, seconds: int
) -> list[EventCount]:
    """The number of sessions in the details of an event that is about several at once.

    Separate from `count_events`, which is answered from the index alone.
    """
    total = func.sum(func.coalesce(AuditEvent.detail["count"].as_integer(), 0))
    return _count_events(db, [event], total, since=since, seconds=seconds)


def _count_events(
    db: Session,
    events: Sequence[str],
    total: ColumnElement[int],
    *,
    since: datetime,
    seconds: int,
) -> list[EventCount]:
    bucket = clock.bucket(AuditEvent.at, seconds).label("bucket")
    query = (
        select(bucket, AuditEvent.event, total)
        .where(AuditEvent.event.in_(events), AuditEvent.at.between(since, clock.now()))
        .group_by(bucket, AuditEvent.event)
    )
    return [EventCount(at, event, int(number)) for at, event, number in db.execute(query)]


def count_open_sessions(db: Session) -> int:
    """The number of sessions that are neither revoked nor expired.

    Judged by their own rows: a changed epoch or a disabled user does not count.
    """
    is_open = and_(_UNREVOKED, LoginSession.expires_at > clock.now())
    return db.scalar(select(func.count()).select_from(LoginSession).where(is_open)) or 0


def count_session_changes(db: Session, *, since: datetime, seconds: int) -> dict[int, int]:
    """The net change of the number of open sessions in each bucket.

    A union of four queries, each of which is answered from one index alone.
    """
    ended_at = case(
        (LoginSession.revoked_at < LoginSession.expires_at, LoginSession.revoked_at),
        else_=LoginSession.expires_at,
    )
    expired = LoginSession.expires_at.between(since, clock.now())
    revoked = LoginSession.revoked_at.between(since, clock.now())
    began = LoginSession.created_at.between(since, clock.now())
    changes = union_all(
        _count_sessions(LoginSession.created_at, +1, _UNREVOKED, began, seconds=seconds),
        _count_sessions(LoginSession.expires_at, -1, _UNREVOKED, expired, seconds=seconds),
        _count_sessions(LoginSession.created_at, +1, revoked, began, seconds=seconds),
        _count_sessions(ended_at, -1, revoked, ended_at >= since, seconds=seconds),
    )
    totals: Counter[int] = Counter()
    for bucket, change in db.execute(changes):
        totals[bucket] += change
    return totals


def _count_sessions(
    moment: Any, sign: int, *conditions: ColumnElement[bool], seconds: int
) -> Select[int, int]:
    bucket = clock.bucket(moment, seconds).label("bucket")
    return select(bucket, sign * func.count()).where(*conditions).group_by(bucket)


def count_live_sessions_of(db: Session, user_ids: Sequence[int]) -> dict[int, int]:
    """The number of live sessions by user id. Users without any are left out."""
    query = (
        select(LoginSession.user_id, func.count())
        .join(LoginSession.user)
        .where(LoginSession.user_id.in_(user_ids), live.session_is_usable())
        .group_by(LoginSession.user_id)
    )
    return dict(db.execute(query).all())


def count_users(db: Session) -> int:
    """The number of accounts."""
    return db.scalar(select(func.count()).select_from(User)) or 0
