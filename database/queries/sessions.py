"""Finds, lists and revokes sessions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Row,
    Select,
    bindparam,
    insert,
    literal,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from database import clock, keyset
from database.base import PublicId
from database.ids import uuid7
from database.keyset import Position
from database.models import LoginSession, User
from database.queries import factors, live, users


def begin(
    db: Session, *, user_id: int, epoch: int, fields: Mapping[str, Any]
) -> LoginSession | None:
    """Insert a session, unless its user was disabled or their epoch was raised meanwhile.

    Without a second factor it is not inserted either if the user has one.

    The statement locks the user until the end of the transaction, so that of a login and the
    revocation of all sessions one waits for the other.
    """
    values = {"id": uuid7(), "user_id": user_id, "epoch": epoch, **fields}
    types = {column.key: column.type for column in LoginSession.__table__.columns}
    unchanged = (
        select(*(literal(value, types[name]) for name, value in values.items()))
        .where(User.id == user_id, User.is_active, User.session_epoch == epoch)
        .with_for_update(of=User, key_share=True)
    )
    if fields.get("second_factor_at") is None:
        unchanged = unchanged.where(~factors.has_any(User.id))
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
    return db.scalar(_USE, {"session_id": session_id})


# Built once: building it for each refresh takes longer than running it.
_USE = (
    update(LoginSession)
    .where(
        LoginSession.id == bindparam("session_id", type_=PublicId),
        LoginSession.user_id == User.id,
        live.session_is_valid(),
    )
    .values(last_used_at=clock.now())
    .returning(LoginSession)
    .execution_options(synchronize_session=False, populate_existing=True)
)


class LockedSession(NamedTuple):
    """A valid session, locked. `is_target` tells those to be changed from the one that asks."""

    id: UUID
    user_id: int
    confirmed_at: datetime | None
    second_factor_at: datetime | None
    kind: str
    is_target: bool


def lock_for_change(
    db: Session, *, own_id: UUID | None, targets: Select[UUID] | None
) -> Sequence[LockedSession]:
    """The valid ones among the session that asks and those to be changed, in the order of ids.

    All are locked by one statement, so that two transactions that lock many cannot deadlock. The
    session that asks is listed a second time if it is to be changed as well.
    """
    candidates = [] if targets is None else [_candidates(targets.subquery().c[0], is_target=True)]
    if own_id is not None:
        candidates.append(_candidates(literal(own_id, PublicId), is_target=False))
    if not candidates:
        return []
    candidate = union_all(*candidates).subquery()
    query = (
        select(
            LoginSession.id,
            LoginSession.user_id,
            LoginSession.confirmed_at,
            LoginSession.second_factor_at,
            LoginSession.kind,
            candidate.c.is_target,
        )
        .join(candidate, candidate.c.id == LoginSession.id)
        .join(LoginSession.user)
        .where(live.session_is_valid())
        .order_by(LoginSession.id)
        .with_for_update(of=LoginSession, key_share=True)
    )
    return [LockedSession(*row) for row in db.execute(query)]


def _candidates(session_id: ColumnElement[UUID], *, is_target: bool) -> Select[UUID, bool]:
    return select(session_id.label("id"), literal(is_target, Boolean).label("is_target"))


def select_by_id(ids: Sequence[UUID]) -> Select[UUID]:
    """These sessions, for `lock_for_change`."""
    return select(LoginSession.id).where(LoginSession.id.in_(ids))


def select_of_user(user_id: int) -> Select[UUID]:
    """The sessions of a user that are not revoked, for `lock_for_change`."""
    is_theirs = LoginSession.user_id == user_id
    return select(LoginSession.id).where(is_theirs, LoginSession.revoked_at.is_(None))


def select_newest(*, limit: int, keep: UUID | None) -> Select[UUID]:
    """The newest valid sessions of all users, except the one to keep, for `lock_for_change`."""
    query = select(LoginSession.id).join(LoginSession.user).where(live.session_is_valid())
    if keep is not None:
        query = query.where(LoginSession.id != keep)
    return query.order_by(LoginSession.created_at.desc(), LoginSession.id.desc()).limit(limit)


def is_any_valid(db: Session, *, keep: UUID | None) -> bool:
    """Whether any user has a valid session besides the one to keep."""
    query = select(LoginSession.id).join(LoginSession.user).where(live.session_is_valid())
    if keep is not None:
        query = query.where(LoginSession.id != keep)
    return db.scalar(query.limit(1)) is not None


def confirm_by_password(db: Session, session_id: UUID) -> None:
    """Note that the user has just given their password, if they have no second factor."""
    db.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id, ~factors.has_any(LoginSession.user_id))
        .values(confirmed_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def find_amr(db: Session, session_id: UUID) -> str | None:
    """What was given in a session until now."""
    return db.scalar(select(LoginSession.amr).where(LoginSession.id == session_id))


def confirm_by_factor(db: Session, session_id: UUID, *, amr: str) -> None:
    """Note that the user of a session has just given a second factor in it."""
    db.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id)
        .values(confirmed_at=clock.now(), second_factor_at=clock.now(), amr=amr)
        .execution_options(synchronize_session=False)
    )


def unconfirm(db: Session, user_id: int, *, keep: UUID | None) -> None:
    """Let the sessions of a user, which must be locked, be no longer fresh, but for one."""
    db.execute(
        update(LoginSession)
        .where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
        .where(LoginSession.id != keep if keep is not None else true())
        .values(confirmed_at=None)
        .execution_options(synchronize_session=False)
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
    # Locked in the order of ids, as everywhere: an UPDATE alone locks in any order.
    valid = (
        select(LoginSession.id)
        .join(LoginSession.user)
        .where(*conditions, live.session_is_valid())
        .order_by(LoginSession.id)
        .with_for_update(of=LoginSession, key_share=True)
    )
    return db.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(valid), LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id, LoginSession.user_id)
        .execution_options(synchronize_session=False)
    ).all()


def revoke_of_last_epoch(
    db: Session, *, reason: str, user_id: int | None = None, keep: UUID | None = None
) -> None:
    """Revoke all sessions of users whose epoch starts again at 1, of all users unless one is given.

    Old ones are invalid by their epoch alone, which the user may have again.
    """
    stale = (
        select(LoginSession.id)
        .join(LoginSession.user)
        .where(users.has_last_epoch(), LoginSession.revoked_at.is_(None))
        .order_by(LoginSession.id)
        .with_for_update(of=LoginSession, key_share=True)
    )
    if user_id is not None:
        stale = stale.where(LoginSession.user_id == user_id)
    if keep is not None:
        stale = stale.where(LoginSession.id != keep)
    db.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(stale))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .execution_options(synchronize_session=False)
    )


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
    db: Session, *, user_id: int | None = None, limit: int
) -> Sequence[tuple[LoginSession, User]]:
    """Live sessions with their users, newest first. Of all users unless one is given."""
    query = select(LoginSession, User).join(LoginSession.user).where(live.session_is_usable())
    if user_id is not None:
        query = query.where(LoginSession.user_id == user_id)
    rows = db.execute(query.order_by(LoginSession.created_at.desc(), LoginSession.id).limit(limit))
    return [(session, user) for session, user in rows]
