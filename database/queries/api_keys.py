"""Finds, lists and revokes API keys."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from database import clock, keyset
from database.keyset import Position
from database.models import ApiKey, User
from database.queries import live


def list_live(
    db: Session, *, user_id: int, after: Position | None, limit: int
) -> Sequence[tuple[ApiKey, str]]:
    """Live keys of a user, newest first, each with its time as stored, for the next page."""
    query = (
        select(ApiKey, keyset.stored(ApiKey.created_at))
        .join_from(ApiKey, User)
        .where(ApiKey.user_id == user_id, live.api_key_is_usable())
    )
    query = keyset.newest_first(query, ApiKey.created_at, ApiKey.id, after=after)
    return [(key, stored) for key, stored in db.execute(query.limit(limit))]


def list_live_with_user(
    db: Session, *, user_id: int | None = None, limit: int
) -> Sequence[tuple[ApiKey, User]]:
    """Live keys with their users, newest first. Of all users unless one is given."""
    query = select(ApiKey, User).join_from(ApiKey, User).where(live.api_key_is_usable())
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    rows = db.execute(query.order_by(ApiKey.created_at.desc(), ApiKey.id).limit(limit))
    return [(key, user) for key, user in rows]


def count_live(db: Session, *, user_id: int, with_replaced: bool) -> int:
    """How many live keys a user has. `with_replaced` also counts keys that have a successor."""
    query = (
        select(func.count())
        .select_from(ApiKey)
        .join(User)
        .where(ApiKey.user_id == user_id, live.api_key_is_usable())
    )
    if not with_replaced:
        query = query.where(ApiKey.replaced_at.is_(None))
    return db.scalar(query) or 0


def find(db: Session, api_key_id: UUID) -> ApiKey | None:
    """A key, which need not be live."""
    return db.get(ApiKey, api_key_id)


def find_by_digest(db: Session, digest: bytes) -> ApiKey | None:
    """A key, which need not be live."""
    return db.scalar(select(ApiKey).where(ApiKey.key_digest == digest))


def list_known(db: Session, digests: Sequence[bytes]) -> Sequence[bytes]:
    """Which of these digests are those of keys, live or not."""
    return db.scalars(select(ApiKey.key_digest).where(ApiKey.key_digest.in_(digests))).all()


def lock_live(db: Session, api_key_id: UUID, *, user_id: int) -> ApiKey | None:
    """A live key of this user, locked until the end of the transaction."""
    return db.scalar(
        select(ApiKey)
        .join_from(ApiKey, User)
        .where(ApiKey.id == api_key_id, ApiKey.user_id == user_id, live.api_key_is_usable())
        .with_for_update(of=ApiKey, key_share=True)
        .execution_options(populate_existing=True)
    )


def lock_usable(db: Session, ids: Collection[UUID]) -> dict[UUID, ApiKey]:
    """Those of these keys that are live, by id, locked in the order of their ids."""
    query = (
        select(ApiKey)
        .join_from(ApiKey, User)
        .where(ApiKey.id.in_(ids), live.api_key_is_usable())
        .order_by(ApiKey.id)
        .with_for_update(of=ApiKey, key_share=True)
    )
    keys = db.scalars(query.execution_options(populate_existing=True))
    return {key.id: key for key in keys}


def take_expiring(db: Session, *, within: timedelta, limit: int) -> Sequence[ApiKey]:
    """Live keys without a successor that expire soon, each returned once and for ever noted.

    Those that another transaction has locked are left to the next call.
    """
    now = clock.read(db)
    soon = (
        select(ApiKey)
        .join_from(ApiKey, User)
        .where(ApiKey.expires_at < now + within, ApiKey.expiry_noticed_at.is_(None))
        .where(ApiKey.replaced_at.is_(None), live.api_key_is_usable())
        .limit(limit)
    )
    keys = db.scalars(soon.with_for_update(of=ApiKey, key_share=True, skip_locked=True)).all()
    for key in keys:
        key.expiry_noticed_at = now
    return [key for key in keys if key.expires_at and key.expires_at - key.created_at > within]


def revoke(db: Session, api_key_id: UUID) -> ApiKey | None:
    """Revoke one key of any user. Returns None if it was not valid.

    The user may be disabled: the key would otherwise work again when the user is enabled.
    """
    return next(iter(_revoke(db, ApiKey.id == api_key_id)), None)


def revoke_of_user(db: Session, api_key_id: UUID, *, user_id: int) -> ApiKey | None:
    """Revoke one key of this user. Returns None if it was not valid, or is another user's."""
    return next(iter(_revoke(db, ApiKey.id == api_key_id, ApiKey.user_id == user_id)), None)


def revoke_all(db: Session, *, user_id: int) -> Sequence[ApiKey]:
    """Revoke all keys of a user. Returns those that were valid."""
    return _revoke(db, ApiKey.user_id == user_id)


def _revoke(db: Session, *conditions: ColumnElement[bool]) -> Sequence[ApiKey]:
    return db.scalars(
        update(ApiKey)
        .where(*conditions, live.api_key_is_valid())
        .values(revoked_at=clock.now())
        .returning(ApiKey)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
