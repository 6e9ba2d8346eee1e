"""Deletes rows that have expired or were revoked, in batches, oldest first and by an index.

Rows that could still resolve or be refreshed are never deleted. Rows that another transaction has
locked are skipped, so that requests and pruning never wait for each other.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
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
    tuple_,
    union,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from database import clock
from database.models import (
    AccessToken,
    ApiKey,
    ApiKeyUse,
    AuditEvent,
    AuthorizationCode,
    AuthorizationRequest,
    Challenge,
    DeviceCode,
    KnownAddress,
    LoginSession,
    MailToken,
    OutgoingMail,
    PruningScan,
    RefreshToken,
    ReleasedName,
    ThrottleCounter,
    User,
)
from database.queries import audit_events, upsert

# The key of the advisory lock, the same for every process: "cf-prune" in ASCII.
_LOCK_KEY = 0x63662D7072756E65

# A refresh that began before the last token of a session expired may be about to issue the next
# one. It sets `last_used_at`, and no transaction lasts this long.
_MAX_TRANSACTION = timedelta(minutes=2)

# For how long a user's address stays known after the last login from it.
_ADDRESS_LIFETIME = timedelta(days=90)

# How long it is told how often an API key was used on a day.
_USES_LIFETIME = timedelta(days=90)

# Long after the last attempt to send a mail, whatever it is about.
_MAIL_LIFETIME = timedelta(days=3)

_DEVICE_CODE_LIFETIME = timedelta(minutes=10)

_UNREVOKED = LoginSession.revoked_at.is_(None)

TABLE_START = UUID(int=0)


class Cutoffs(NamedTuple):
    """Rows that ended, and audit events recorded, before these times are deleted. None: never."""

    ended_before: datetime
    recorded_before: datetime | None


class Batch(NamedTuple):
    """How many rows were deleted, by table, and whether there may be more of this kind."""

    rows: dict[str, int]
    more: bool


def cutoffs(db: Session, *, keep_days: int, audit_keep_days: int | None) -> Cutoffs:
    """The cutoffs at this moment, by the database's clock."""
    now = clock.read(db)
    recorded = None if audit_keep_days is None else now - timedelta(days=audit_keep_days)
    return Cutoffs(now - timedelta(days=keep_days), recorded)


def lock(db: Session, *, wait: bool) -> bool:
    """Lock out other processes that prune until the end of the transaction.

    Returns False if another process has the lock and `wait` is false. The lock belongs to the
    transaction, because PgBouncer may give the connection to another client after it. SQLite has
    only one writing transaction at a time and needs no lock.
    """
    if db.get_bind().dialect.name == "sqlite":
        return True
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    return db.scalar(text(f"SELECT {function}(:key)"), {"key": _LOCK_KEY}) is not False


def prune_tokens(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete access tokens whose refresh tokens have expired too, and those with them.

    Until then the refresh token can be used, or its reuse reveals a theft.
    """
    expired = _expired_tokens(cutoffs.ended_before).order_by(RefreshToken.expires_at)
    return _delete(db, AccessToken, expired, limit)


def prune_expired_sessions(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete sessions that expired and were not revoked."""
    expired = _before(LoginSession.expires_at, cutoffs.ended_before)
    return _delete_sessions(db, [expired.where(_UNREVOKED)], limit)


def prune_revoked_sessions(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete sessions that were revoked."""
    revoked = _before(LoginSession.revoked_at, cutoffs.ended_before)
    return _delete_sessions(db, [revoked], limit)


def prune_unusable_sessions(
    db: Session, cutoffs: Cutoffs, limit: int, scanned: "KeyRange"
) -> Batch:
    """Delete sessions of a range that no column marks as ended, but which cannot be used any more.

    Their user's epoch has changed, or all of their tokens are gone.
    """
    # Locking a row checks again when it was last used, which a refresh may have changed just now.
    kinds = _unusable(cutoffs.ended_before, scanned.contains(LoginSession.id))
    return _delete_sessions(db, [kind.order_by(LoginSession.id) for kind in kinds], limit)


def prune_api_key_uses(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete the counts of days that are long over."""
    old = _old_uses(db).limit(limit).with_for_update(skip_locked=True)
    rows = [tuple(row) for row in db.execute(old)]
    if rows:
        key = tuple_(ApiKeyUse.api_key_id, ApiKeyUse.day)
        db.execute(delete(ApiKeyUse).where(key.in_(rows)))
    return Batch({ApiKeyUse.__tablename__: len(rows)}, more=len(rows) == limit)


def prune_expired_api_keys(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete API keys that expired."""
    return _delete(db, ApiKey, _before(ApiKey.expires_at, cutoffs.ended_before), limit)


def prune_revoked_api_keys(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete API keys that were revoked."""
    return _delete(db, ApiKey, _before(ApiKey.revoked_at, cutoffs.ended_before), limit)


def prune_audit_events(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete old audit events, unless they are kept for ever.

    A role without the right to delete them leaves those of the last 30 days.
    """
    if cutoffs.recorded_before is None:
        return Batch({}, more=False)
    if audit_events.can_delete(db):
        return _delete(db, AuditEvent, _before(AuditEvent.at, cutoffs.recorded_before), limit)
    deleted = db.scalar(select(func.prune_audit_events(cutoffs.recorded_before, limit))) or 0
    return Batch({"audit_events": deleted}, more=deleted == limit)


def prune_throttle_counters(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete counters as soon as their window has ended, as any client can create many of them."""
    ended = _before(ThrottleCounter.ends_at, clock.read(db))
    return _delete(db, ThrottleCounter, ended, limit)


def prune_known_addresses(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete addresses from which their user has not logged in for 90 days."""
    old = _before(KnownAddress.last_used_at, cutoffs.ended_before - _ADDRESS_LIFETIME)
    return _delete(db, KnownAddress, old, limit)


def prune_released_names(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete names as soon as anybody can take them."""
    return _delete(db, ReleasedName, _before(ReleasedName.ends_at, clock.read(db)), limit)


def prune_mail_tokens(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete the tokens of mails that have expired, used or not."""
    return _delete(db, MailToken, _before(MailToken.expires_at, cutoffs.ended_before), limit)


def prune_challenges(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete challenges as soon as they have expired, as any client can cause many of them."""
    return _delete(db, Challenge, _before(Challenge.expires_at, clock.read(db)), limit)


def prune_authorization_requests(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete what clients asked for, once nobody can answer it any more."""
    expired = _before(AuthorizationRequest.expires_at, clock.read(db))
    return _delete(db, AuthorizationRequest, expired, limit)


def prune_authorization_codes(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete codes, which are of no use once they have expired."""
    return _delete(
        db, AuthorizationCode, _before(AuthorizationCode.expires_at, clock.read(db)), limit
    )


def prune_device_codes(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete codes of devices a while after they expired: until then, a device is told so."""
    expired = _before(DeviceCode.expires_at, clock.read(db) - _DEVICE_CODE_LIFETIME)
    return _delete(db, DeviceCode, expired, limit)


def prune_outbox(db: Session, cutoffs: Cutoffs, limit: int) -> Batch:
    """Delete mails that were sent, or are too old to be sent any more."""
    old = _before(OutgoingMail.created_at, cutoffs.ended_before - _MAIL_LIFETIME)
    return _delete(db, OutgoingMail, old, limit)


class KeyRange(NamedTuple):
    """A range of primary keys of `sessions`. `last` is None for the end of the table."""

    after: UUID
    last: UUID | None

    def contains(self, column: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
        """The condition that a key is in the range."""
        is_after = column > self.after
        return is_after if self.last is None else and_(is_after, column <= self.last)


def next_range(db: Session, length: int) -> KeyRange:
    """The range of `length` sessions that the scan for unusable sessions has to read next."""
    after = db.scalar(select(PruningScan.after)) or TABLE_START
    following = select(LoginSession.id).where(LoginSession.id > after).order_by(LoginSession.id)
    return KeyRange(after, db.scalar(following.offset(length - 1).limit(1)))


def continue_after(db: Session, after: UUID) -> None:
    """Let the next range of the scan begin after this session's id."""
    insertion = upsert.insert(db, PruningScan).values(id=1, after=after)
    db.execute(insertion.on_conflict_do_update(index_elements=["id"], set_={"after": after}))


def count(db: Session, cutoffs: Cutoffs) -> dict[str, int]:
    """How many rows of each table would be deleted. Reads whole tables."""
    before = cutoffs.ended_before
    expired = and_(_UNREVOKED, LoginSession.expires_at < before)
    ended = or_(expired, LoginSession.revoked_at < before)
    sessions = union(select(LoginSession.id).where(ended), *_unusable(before))
    their_tokens = select(AccessToken.id).where(AccessToken.session_id.in_(sessions))
    api_keys = or_(ApiKey.expires_at < before, ApiKey.revoked_at < before)
    counters = ThrottleCounter.ends_at < clock.now()
    names = ReleasedName.ends_at < clock.now()
    addresses = KnownAddress.last_used_at < before - _ADDRESS_LIFETIME
    challenges = Challenge.expires_at < clock.now()
    mails = OutgoingMail.created_at < before - _MAIL_LIFETIME
    counts = {
        "access_tokens": _count(db, union(_expired_tokens(before), their_tokens)),
        "sessions": _count(db, sessions),
        "api_keys": _count(db, select(ApiKey.id).where(api_keys)),
        "api_key_uses": _count(db, _old_uses(db)),
        "throttle_counters": _count(db, select(ThrottleCounter.id).where(counters)),
        "released_names": _count(db, select(ReleasedName.id).where(names)),
        "known_addresses": _count(db, select(KnownAddress.id).where(addresses)),
        "mail_tokens": _count(db, select(MailToken.id).where(MailToken.expires_at < before)),
        "challenges": _count(db, select(Challenge.token_digest).where(challenges)),
        "authorization_requests": _count(
            db, select(AuthorizationRequest.id).where(AuthorizationRequest.expires_at < clock.now())
        ),
        "authorization_codes": _count(
            db, select(AuthorizationCode.id).where(AuthorizationCode.expires_at < clock.now())
        ),
        "device_codes": _count(
            db,
            select(DeviceCode.id).where(
                DeviceCode.expires_at < clock.read(db) - _DEVICE_CODE_LIFETIME
            ),
        ),
        "outbox": _count(db, select(OutgoingMail.id).where(mails)),
    }
    if cutoffs.recorded_before is not None:
        events = select(AuditEvent.id).where(AuditEvent.at < cutoffs.recorded_before)
        counts["audit_events"] = _count(db, events)
    return counts


def _old_uses(db: Session) -> Select[UUID, date]:
    first = (clock.read(db) - _USES_LIFETIME).date()
    return select(ApiKeyUse.api_key_id, ApiKeyUse.day).where(ApiKeyUse.day < first)


def _expired_tokens(before: datetime) -> Select[Any]:
    # Refresh tokens live longer than access tokens, so their index yields only rows to delete.
    return (
        select(AccessToken.id)
        .join(RefreshToken, RefreshToken.access_token_id == AccessToken.id)
        .where(RefreshToken.expires_at < before, AccessToken.expires_at < before)
    )


def _unusable(before: datetime, *within: ColumnElement[bool]) -> list[Select[Any]]:
    """Sessions whose user's epoch has changed, and sessions all of whose tokens are gone.

    Two queries, because for one with OR PostgreSQL reads the tables of tokens in full.
    """
    unused = LoginSession.last_used_at < before - _MAX_TRANSACTION
    of_old_epoch = (
        select(LoginSession.id)
        .join(LoginSession.user)
        .where(*within, unused, LoginSession.epoch != User.session_epoch)
        # Epochs start at 0 and rise, so the others have no old sessions. An index holds these few.
        .where(User.session_epoch > 0)
    )
    return [of_old_epoch, select(LoginSession.id).where(*within, unused, _has_no_token(before))]


def _has_no_token(before: datetime) -> ColumnElement[bool]:
    access_token = exists().where(
        AccessToken.session_id == LoginSession.id, AccessToken.expires_at >= before
    )
    refresh_token = exists().where(
        RefreshToken.session_id == LoginSession.id, RefreshToken.expires_at >= before
    )
    return and_(~access_token, ~refresh_token)


def _before(column: InstrumentedAttribute[Any], moment: datetime) -> Select[Any]:
    return select(_key(column.class_)).where(column < moment).order_by(column)


def _delete_sessions(db: Session, ended: Sequence[Select[Any]], limit: int) -> Batch:
    """Deletes their tokens first, as a session refreshed hourly for a month has about 700."""
    max_sessions = max(1, limit // 4)
    found = {id_ for query in ended for id_ in _lock(db, LoginSession, query, max_sessions)}
    ids = sorted(found)[:max_sessions]
    if not ids:
        return Batch({}, more=False)
    tokens = select(AccessToken.id).where(AccessToken.session_id.in_(ids))
    batch = _delete(db, AccessToken, tokens, limit)
    if batch.more:
        return batch
    _delete_by_id(db, LoginSession, ids)
    return Batch({**batch.rows, "sessions": len(ids)}, more=len(ids) == max_sessions)


def _delete(db: Session, model: Any, ended: Select[Any], limit: int) -> Batch:
    ids = _lock(db, model, ended, limit)
    if ids:
        _delete_by_id(db, model, ids)
    return Batch({model.__tablename__: len(ids)}, more=len(ids) == limit)


def _lock(db: Session, model: Any, ended: Select[Any], limit: int) -> Sequence[Any]:
    return db.scalars(ended.limit(limit).with_for_update(of=model, skip_locked=True)).all()


def _delete_by_id(db: Session, model: Any, ids: Sequence[Any]) -> None:
    deleted = delete(model).where(_key(model).in_(ids))
    db.execute(deleted.execution_options(synchronize_session=False))


def _key(model: Any) -> Any:
    return model.token_digest if model is Challenge else model.id


def _count(db: Session, rows: Any) -> int:
    return db.scalar(select(func.count()).select_from(rows.subquery())) or 0
