"""Finds and removes rows that can no longer be used, in batches, oldest first and from an index.

Nothing that could still resolve or be refreshed is touched. Rows that another transaction holds are
passed over, so that no request waits for a removal, nor a removal for a request.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    union,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from database import clock
from database.models import (
    AccessToken,
    ApiKey,
    AuditEvent,
    KnownAddress,
    LoginSession,
    RefreshToken,
    ThrottleCounter,
    User,
)

# Any number will do, as long as every process uses the same: "cf-prune" in ASCII.
_LOCK = 0x63662D7072756E65

# A refresh under way when the last token of a session expires may be about to issue the next one.
# It notes the use of the session, and no transaction lasts as long as this.
_SETTLED = timedelta(minutes=2)

# An address from which a user has not logged in for so long is a stranger's again.
_ADDRESS_LIFE = timedelta(days=90)

_UNREVOKED = LoginSession.revoked_at.is_(None)


class Ages(NamedTuple):
    """What ended before the one moment, or was recorded before the other, may go. None: nothing."""

    ended_before: datetime
    recorded_before: datetime | None


class Batch(NamedTuple):
    """How many rows of which table were removed, and whether there may be more of the kind."""

    rows: dict[str, int]
    more: bool


def ages(db: Session, *, keep_days: int, audit_keep_days: int | None) -> Ages:
    """By the database's clock."""
    now = clock.read(db)
    recorded = None if audit_keep_days is None else now - timedelta(days=audit_keep_days)
    return Ages(now - timedelta(days=keep_days), recorded)


def take_turn(db: Session, *, wait: bool) -> bool:
    """Be the only one that prunes until this transaction is over. False if another one is.

    The lock belongs to the transaction, as PgBouncer may give the connection to others after it. A
    transaction of SQLite that may write is the only one of its kind anyway.
    """
    if db.get_bind().dialect.name == "sqlite":
        return True
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    return db.scalar(text(f"SELECT {function}(:key)"), {"key": _LOCK}) is not False


def prune_tokens(db: Session, ages: Ages, limit: int) -> Batch:
    """An expired access token stays while its refresh token could be used, or betray a theft."""
    expired = _expired_tokens(ages.ended_before).order_by(RefreshToken.expires_at)
    return _delete(db, AccessToken, expired, limit)


def prune_expired_sessions(db: Session, ages: Ages, limit: int) -> Batch:
    """Sessions that came to their end, as nobody had ended them before."""
    expired = _before(LoginSession.expires_at, ages.ended_before)
    return _delete_sessions(db, expired.where(_UNREVOKED), limit)


def prune_revoked_sessions(db: Session, ages: Ages, limit: int) -> Batch:
    """Sessions that were ended."""
    return _delete_sessions(db, _before(LoginSession.revoked_at, ages.ended_before), limit)


def prune_lost_sessions(db: Session, ages: Ages, limit: int, span: "Span") -> Batch:
    """Sessions within a span that nothing says have ended, but which nobody can use any more."""
    within = span.holds(LoginSession.id)
    lost = union(*_lost(ages.ended_before, within))
    # Asked once more of the row itself, as a refresh may have held it a moment ago.
    unused = LoginSession.last_used_at < ages.ended_before - _SETTLED
    found = select(LoginSession.id).where(LoginSession.id.in_(lost), unused)
    return _delete_sessions(db, found, limit)


def prune_expired_api_keys(db: Session, ages: Ages, limit: int) -> Batch:
    """API keys that came to their end."""
    return _delete(db, ApiKey, _before(ApiKey.expires_at, ages.ended_before), limit)


def prune_revoked_api_keys(db: Session, ages: Ages, limit: int) -> Batch:
    """API keys that were revoked."""
    return _delete(db, ApiKey, _before(ApiKey.revoked_at, ages.ended_before), limit)


def prune_audit_events(db: Session, ages: Ages, limit: int) -> Batch:
    """Only if there is a limit to how long they are kept."""
    if ages.recorded_before is None:
        return Batch({}, more=False)
    return _delete(db, AuditEvent, _before(AuditEvent.at, ages.recorded_before), limit)


def prune_throttle_counters(db: Session, ages: Ages, limit: int) -> Batch:
    """As soon as their window is over: strangers can make any number of them."""
    over = _before(ThrottleCounter.ends_at, clock.read(db))
    return _delete(db, ThrottleCounter, over, limit)


def prune_known_addresses(db: Session, ages: Ages, limit: int) -> Batch:
    """Addresses that a user has not logged in from for long."""
    forgotten = _before(KnownAddress.last_used_at, ages.ended_before - _ADDRESS_LIFE)
    return _delete(db, KnownAddress, forgotten, limit)


class Span(NamedTuple):
    """A stretch of the primary key of `sessions`. None is the end of the table."""

    after: UUID
    until: UUID | None

    def holds(self, column: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
        """The condition that a row lies within."""
        beyond = column > self.after
        return beyond if self.until is None else and_(beyond, column <= self.until)


def next_span(db: Session, after: UUID, length: int) -> Span:
    """The stretch of so many sessions that follows."""
    following = select(LoginSession.id).where(LoginSession.id > after).order_by(LoginSession.id)
    return Span(after, db.scalar(following.offset(length - 1).limit(1)))


def count(db: Session, ages: Ages) -> dict[str, int]:
    """How many rows of each table would be removed. Reads whole tables."""
    before = ages.ended_before
    expired = and_(_UNREVOKED, LoginSession.expires_at < before)
    ended = or_(expired, LoginSession.revoked_at < before)
    sessions = union(select(LoginSession.id).where(ended), *_lost(before))
    fallen = select(AccessToken.id).where(AccessToken.session_id.in_(sessions))
    api_keys = or_(ApiKey.expires_at < before, ApiKey.revoked_at < before)
    counts = {
        "access_tokens": _count(db, union(_expired_tokens(before), fallen)),
        "sessions": _count(db, sessions),
        "api_keys": _count(db, select(ApiKey.id).where(api_keys)),
    }
    over = select(ThrottleCounter.id).where(ThrottleCounter.ends_at < clock.now())
    counts["throttle_counters"] = _count(db, over)
    last_use = before - _ADDRESS_LIFE
    forgotten = select(KnownAddress.id).where(KnownAddress.last_used_at < last_use)
    counts["known_addresses"] = _count(db, forgotten)
    if ages.recorded_before is not None:
        events = select(AuditEvent.id).where(AuditEvent.at < ages.recorded_before)
        counts["audit_events"] = _count(db, events)
    return counts


def _expired_tokens(before: datetime) -> Select[Any]:
    # Led by the refresh token, whose life is the longer one: the index then yields what may go.
    return (
        select(AccessToken.id)
        .join(RefreshToken, RefreshToken.access_token_id == AccessToken.id)
        .where(RefreshToken.expires_at < before, AccessToken.expires_at < before)
    )


def _lost(before: datetime, *within: ColumnElement[bool]) -> list[Select[Any]]:
    """Sessions whose user's epoch has moved on, or all of whose tokens are gone.

    Two queries, because with an OR in one PostgreSQL reads the tables of tokens from end to end.
    """
    unused = LoginSession.last_used_at < before - _SETTLED
    left_behind = (
        select(LoginSession.id)
        .join(LoginSession.user)
        .where(*within, unused, LoginSession.epoch != User.session_epoch)
    )
    return [left_behind, select(LoginSession.id).where(*within, unused, _has_no_token(before))]


def _has_no_token(before: datetime) -> ColumnElement[bool]:
    access_token = exists().where(
        AccessToken.session_id == LoginSession.id, AccessToken.expires_at >= before
    )
    refresh_token = exists().where(
        RefreshToken.session_id == LoginSession.id, RefreshToken.expires_at >= before
    )
    return and_(~access_token, ~refresh_token)


def _before(column: InstrumentedAttribute[Any], moment: datetime) -> Select[Any]:
    return select(column.class_.id).where(column < moment).order_by(column)


def _delete_sessions(db: Session, ended: Select[Any], limit: int) -> Batch:
    """Their tokens first: a session that was refreshed every hour for a month has a thousand."""
    most = max(1, limit // 4)
    ids = _lock(db, LoginSession, ended, most)
    if not ids:
        return Batch({}, more=False)
    tokens = select(AccessToken.id).where(AccessToken.session_id.in_(ids))
    batch = _delete(db, AccessToken, tokens, limit)
    if batch.more:
        return batch
    _delete_by_id(db, LoginSession, ids)
    return Batch({**batch.rows, "sessions": len(ids)}, more=len(ids) == most)


def _delete(db: Session, model: Any, ended: Select[Any], limit: int) -> Batch:
    ids = _lock(db, model, ended, limit)
    if ids:
        _delete_by_id(db, model, ids)
    return Batch({model.__tablename__: len(ids)}, more=len(ids) == limit)


def _lock(db: Session, model: Any, ended: Select[Any], limit: int) -> Sequence[Any]:
    return db.scalars(ended.limit(limit).with_for_update(of=model, skip_locked=True)).all()


def _delete_by_id(db: Session, model: Any, ids: Sequence[Any]) -> None:
    db.execute(delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False))


def _count(db: Session, rows: Any) -> int:
    return db.scalar(select(func.count()).select_from(rows.subquery())) or 0
