"""Finds, lists and revokes sessions."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, insert, literal, select, update
from sqlalchemy.orm import Session

from database import clock, keyset
from database.keyset import Position
from database.models import LoginSession, User
from database.queries import live


def begin(
    db: Session, *, user_id: int, epoch: int, fields: Mapping[str, Any]
) -> LoginSession | None:
    """Insert a session, unless its user was disabled or their epoch was raised meanwhile.

    The statement locks the user until the end of the transaction, so that of a login and the
    revocation of all sessions one waits for the other.
    """
    values = {"id": uuid4(), "user_id": user_id, "epoch": epoch, **fields}
    types = {column.key: column.type for column in LoginSession.__table__.columns}
    unchanged = (
        select(*(literal(value, types[name]) for name, value in values.items()))
        .where(User.id == user_id, User.is_active, User.session_epoch == epoch)
        .with_for_update(of=User, key_share=True)
    )
    added = insert(LoginSession).from_select(list(values), unchanged)
    return db.scalar(added.returning(LoginSession))


def list_live(
    db: Session, *, user_id: int, after: Position | None, limit: int
) -> Sequence[tuple[LoginSession, str]]:
    """Live sessions of a user, newest first, each with its time as stored, for the next page."""
    query = (
        select(LoginSession, keyset.stored(LoginSession.created_at))
        .join(LoginSession.user)
        .where(LoginSession.user_id == user_id, live.session_is_usable())
    )
    query = keyset.newest_first(query, LoginSession.created_at, LoginSession.id, after=after)
    return [(session, stored) for session, stored in db.execute(query.limit(limit))]


def evict(
    db: Session, session: LoginSession, *, count: int, idle_first: bool, reason: str
) -> Sequence[UUID]:
    """Revoke live sessions of the same user, those that have not been used for longest first.

    Or the oldest first, if not `idle_first`. Returns their ids.
    """
    moment = LoginSession.last_used_at if idle_first else LoginSession.created_at
    surplus = (
        select(LoginSession.id)
        .join(LoginSession.user)
        .where(
            LoginSession.user_id == session.user_id,
            LoginSession.id != session.id,
            live.session_is_usable(),
        )
        .order_by(moment, LoginSession.id)
        .limit(count)
    )
    return db.scalars(
        update(LoginSession)
        .where(LoginSession.id.in_(surplus), LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id)
        .execution_options(synchronize_session=False)
    ).all()


def lock_valid(db: Session, session_id: UUID) -> LoginSession | None:
    """A valid session, locked until the end of the transaction."""
    return db.scalar(
        select(LoginSession)
        .join(LoginSession.user)
        .where(LoginSession.id == session_id, live.session_is_valid())
        .with_for_update(of=LoginSession, key_share=True)
        .execution_options(populate_existing=True)
    )


def use(db: Session, session_id: UUID) -> LoginSession | None:
    """A valid session, locked until the end of the transaction. Records that it is used now."""
    return db.scalar(
        update(LoginSession)
        .where(
            LoginSession.id == session_id,
            LoginSession.user_id == User.id,
            live.session_is_valid(),
        )
        .values(last_used_at=clock.now())
        .returning(LoginSession)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def revoke(db: Session, session_id: UUID, *, reason: str) -> int | None:
    """Revoke one session of any user. Returns the user's id, or None if it was not valid."""
    revoked = _revoke(db, LoginSession.id == session_id, reason=reason)
    return revoked[0].user_id if revoked else None


def revoke_of_user(db: Session, session_id: UUID, *, user_id: int, reason: str) -> bool:
    """Revoke one session of this user. Returns False if it was not valid, or is another user's."""
    is_theirs = LoginSession.user_id == user_id
    return bool(_revoke(db, LoginSession.id == session_id, is_theirs, reason=reason))


def revoke_unrevoked(db: Session, session_id: UUID, *, reason: str) -> bool:
    """Revoke one session, even if it is not valid. Returns False if it was revoked already.

    The session of a disabled user would otherwise become valid again when the user is enabled.
    """
    revoked = db.scalars(
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id)
        .execution_options(synchronize_session=False)
    )
    return revoked.one_or_none() is not None


def revoke_all(
    db: Session, *, user_id: int, reason: str, keep: UUID | None = None
) -> Sequence[UUID]:
    """Revoke all sessions of a user except the one to keep. Returns the ids of the valid ones."""
    conditions = [LoginSession.user_id == user_id]
    if keep is not None:
        conditions.append(LoginSession.id != keep)
    return [row.id for row in _revoke(db, *conditions, reason=reason)]


def revoke_everywhere(db: Session, *, reason: str) -> int:
    """Revoke every session. Returns how many were valid."""
    return len(_revoke(db, reason=reason))


def _revoke(db: Session, *conditions: ColumnElement[bool], reason: str) -> Sequence[Row[UUID, int]]:
    valid = (
        select(LoginSession.id).join(LoginSession.user).where(*conditions, live.session_is_valid())
    )
    return db.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(valid), LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id, LoginSession.user_id)
        .execution_options(synchronize_session=False)
    ).all()


def lock_valid_batch(
    db: Session, *, limit: int, ids: Sequence[UUID] | None = None, keep: UUID | None = None
) -> Sequence[tuple[UUID, int]]:
    """The ids of valid sessions and of their users, newest first. Locks the sessions.

    Of all users unless `ids` are given, and never the one to keep. The order is always the same, so
    that two transactions which lock many sessions cannot deadlock.
    """
    query = select(LoginSession.id, LoginSession.user_id).join(LoginSession.user)
    query = query.where(live.session_is_valid())
    if ids is not None:
        query = query.where(LoginSession.id.in_(ids))
    if keep is not None:
        query = query.where(LoginSession.id != keep)
    query = query.order_by(LoginSession.created_at.desc(), LoginSession.id.desc()).limit(limit)
    rows = db.execute(query.with_for_update(of=LoginSession, key_share=True))
    return [(session_id, user_id) for session_id, user_id in rows]


def revoke_batch(db: Session, ids: Sequence[UUID], *, reason: str) -> None:
    """Revoke these sessions."""
    _revoke(db, LoginSession.id.in_(ids), reason=reason)


def set_epoch(db: Session, session_id: UUID, *, epoch: int) -> None:
    """Set the epoch of a session, so that it survives a change of its user's epoch."""
    db.execute(update(LoginSession).where(LoginSession.id == session_id).values(epoch=epoch))


def find(db: Session, session_id: UUID) -> LoginSession | None:
    """A session, which need not be valid."""
    return db.get(LoginSession, session_id)


def find_user_id(db: Session, session_id: UUID) -> int | None:
    """The user of a session, which need not be valid."""
    return db.scalar(select(LoginSession.user_id).where(LoginSession.id == session_id))


def list_live_with_user(
    db: Session, *, user_id: int | None = None
) -> Sequence[tuple[LoginSession, User]]:
    """Live sessions with their users, newest first. Of all users unless one is given."""
    query = select(LoginSession, User).join(LoginSession.user).where(live.session_is_usable())
    if user_id is not None:
        query = query.where(LoginSession.user_id == user_id)
    rows = db.execute(query.order_by(LoginSession.created_at.desc(), LoginSession.id))
    return [(session, user) for session, user in rows]
