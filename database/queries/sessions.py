"""Finds, lists and ends sessions."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import LoginSession, User
from database.queries import live


def list_live(db: Session, *, user_id: int) -> Sequence[LoginSession]:
    """The live sessions of a user, newest first."""
    return db.scalars(
        select(LoginSession)
        .join(LoginSession.user)
        .where(LoginSession.user_id == user_id, live.session_is_live())
        .order_by(LoginSession.created_at.desc(), LoginSession.id)
    ).all()


def lock_holding(db: Session, session_id: UUID) -> LoginSession | None:
    """A session that has not ended, held against changes until the transaction is over."""
    return db.scalar(
        select(LoginSession)
        .join(LoginSession.user)
        .where(LoginSession.id == session_id, live.session_holds())
        .with_for_update(of=LoginSession, key_share=True)
        .execution_options(populate_existing=True)
    )


def revoke(db: Session, session_id: UUID, *, reason: str, user_id: int | None = None) -> bool:
    """End one session, of this user if one is given. False if it was not live."""
    conditions = [LoginSession.id == session_id]
    if user_id is not None:
        conditions.append(LoginSession.user_id == user_id)
    return bool(_revoke(db, *conditions, reason=reason))


def revoke_unended(db: Session, session_id: UUID, *, reason: str) -> bool:
    """End one session, also that of a disabled user, or enabling them would bring it back."""
    ended = db.scalars(
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id)
        .execution_options(synchronize_session=False)
    )
    return ended.one_or_none() is not None


def revoke_all(
    db: Session, *, user_id: int, reason: str, keep: UUID | None = None
) -> Sequence[UUID]:
    """End all sessions of a user but the one to keep. Returns the ids of those that were live."""
    conditions = [LoginSession.user_id == user_id]
    if keep is not None:
        conditions.append(LoginSession.id != keep)
    return _revoke(db, *conditions, reason=reason)


def revoke_everywhere(db: Session, *, reason: str) -> int:
    """End every session. Returns how many were live."""
    return len(_revoke(db, reason=reason))


def _revoke(db: Session, *conditions: ColumnElement[bool], reason: str) -> Sequence[UUID]:
    holding = (
        select(LoginSession.id).join(LoginSession.user).where(*conditions, live.session_holds())
    )
    return db.scalars(
        update(LoginSession)
        .where(LoginSession.id.in_(holding), LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id)
        .execution_options(synchronize_session=False)
    ).all()


def lock_batch_holding(
    db: Session, *, limit: int, ids: Sequence[UUID] | None = None, keep: UUID | None = None
) -> Sequence[tuple[UUID, int]]:
    """Sessions that have not ended, with whose they are, held against changes.

    Those with these ids or of everyone, but the one to keep. Always in the same order, so that two
    who lock many of them wait in line instead of for each other.
    """
    query = select(LoginSession.id, LoginSession.user_id).join(LoginSession.user)
    query = query.where(live.session_holds())
    if ids is not None:
        query = query.where(LoginSession.id.in_(ids))
    if keep is not None:
        query = query.where(LoginSession.id != keep)
    query = query.order_by(LoginSession.created_at.desc(), LoginSession.id.desc()).limit(limit)
    rows = db.execute(query.with_for_update(of=LoginSession, key_share=True))
    return [(session_id, user_id) for session_id, user_id in rows]


def revoke_batch(db: Session, ids: Sequence[UUID], *, reason: str) -> None:
    """End these sessions."""
    _revoke(db, LoginSession.id.in_(ids), reason=reason)


def set_epoch(db: Session, session_id: UUID, *, epoch: int) -> None:
    """Carry a session over into a new epoch of its user."""
    db.execute(update(LoginSession).where(LoginSession.id == session_id).values(epoch=epoch))


def find_user_id(db: Session, session_id: UUID) -> int | None:
    """Whose session it is, live or not."""
    return db.scalar(select(LoginSession.user_id).where(LoginSession.id == session_id))


def list_live_with_user(
    db: Session, *, user_id: int | None = None
) -> Sequence[tuple[LoginSession, User]]:
    """Live sessions with their users, newest first."""
    query = select(LoginSession, User).join(LoginSession.user).where(live.session_is_live())
    if user_id is not None:
        query = query.where(LoginSession.user_id == user_id)
    rows = db.execute(query.order_by(LoginSession.created_at.desc(), LoginSession.id))
    return [(session, user) for session, user in rows]
