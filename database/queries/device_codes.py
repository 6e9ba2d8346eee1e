"""Stores the codes of devices, and what their users decide."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Update, and_, bindparam, delete, func, select, update
from sqlalchemy.orm import Session, joinedload

from database import clock
from database.models import DeviceCode, LoginSession, User
from database.queries import live


class DeviceState(NamedTuple):
    """A device code as it was a moment ago."""

    id: int
    client_id: str
    is_expired: bool
    is_approved: bool
    is_denied: bool
    is_redeemed: bool


def add(db: Session, **fields: Any) -> None:
    """Add a code."""
    db.add(DeviceCode(**fields))
    db.flush()


def count_unexpired(db: Session, *, most: int) -> int:
    """How many codes have not expired; no more than `most` are counted."""
    unexpired = select(DeviceCode.id).where(DeviceCode.expires_at > clock.now()).limit(most)
    return db.scalar(select(func.count()).select_from(unexpired.subquery())) or 0


def find_undecided(db: Session, user_code_digest: bytes) -> DeviceCode | None:
    """The code of a device whose user has yet to decide."""
    return db.scalar(
        select(DeviceCode).where(DeviceCode.user_code_digest == user_code_digest, _is_undecided())
    )


def approve(db: Session, code_id: int, *, user_id: int, epoch: int, login_session_id: Any) -> bool:
    """Record that a user allowed it. Returns False if it was decided or has expired meanwhile."""
    return _decide(
        db,
        code_id,
        approved_at=clock.now(),
        user_id=user_id,
        epoch=epoch,
        login_session_id=login_session_id,
    )


def deny(db: Session, code_id: int, *, user_id: int) -> bool:
    """Record that a user denied it. Returns False if it was decided or has expired meanwhile."""
    return _decide(db, code_id, denied_at=clock.now(), user_id=user_id)


def _decide(db: Session, code_id: int, **values: Any) -> bool:
    return _updates_one(db, update(DeviceCode).where(_is_undecided()).values(values), code_id)


def find(db: Session, device_code_digest: bytes) -> DeviceState | None:
    """What became of a device code, if it was issued."""
    query = select(
        DeviceCode.id,
        DeviceCode.client_id,
        DeviceCode.expires_at <= clock.now(),
        DeviceCode.approved_at.is_not(None),
        DeviceCode.denied_at.is_not(None),
        DeviceCode.redeemed_at.is_not(None),
    ).where(DeviceCode.device_code_digest == device_code_digest)
    row = db.execute(query).one_or_none()
    return DeviceState(*row) if row else None


def poll(db: Session, code_id: int, *, step: int, longest: int) -> bool:
    """Record that a device asks. Returns False if it asks too soon: then its interval grows."""
    code = db.get_one(DeviceCode, code_id, with_for_update=True, populate_existing=True)
    now, last = clock.read(db), code.polled_at
    is_too_soon = last is not None and (now - last).total_seconds() < code.interval_seconds
    if is_too_soon:
        code.interval_seconds = min(code.interval_seconds + step, longest)
    code.polled_at = now
    db.flush()
    return not is_too_soon


def find_and_lock_user(db: Session, code_id: int) -> tuple[DeviceCode, User] | None:
    """A device code with the user who approved it, who is loaded with roles and locked."""
    row = db.execute(_LOCK_USER, {"code_id": code_id}).unique().one_or_none()
    return (row[0], row[1]) if row else None


def lock_approval(db: Session, code: DeviceCode) -> LoginSession | None:
    """The session in which a code was approved, locked. None if its approval does not hold."""
    return db.scalar(
        select(LoginSession)
        .join(LoginSession.user)
        .join(DeviceCode, DeviceCode.login_session_id == LoginSession.id)
        .where(
            DeviceCode.id == code.id,
            DeviceCode.epoch == User.session_epoch,
            live.session_is_usable(),
        )
        .with_for_update(of=LoginSession, key_share=True)
        .execution_options(populate_existing=True)
    )


def redeem(db: Session, code_id: int) -> bool:
    """Mark an approved code as redeemed. Returns False if it was before, or has expired."""
    is_redeemable = and_(
        DeviceCode.approved_at.is_not(None),
        DeviceCode.redeemed_at.is_(None),
        DeviceCode.expires_at > clock.now(),
    )
    statement = update(DeviceCode).where(is_redeemable).values(redeemed_at=clock.now())
    return _updates_one(db, statement, code_id)


def delete_approved(db: Session, user_id: int, client_id: str) -> None:
    """Delete what a user has approved for a client that it has not exchanged yet."""
    db.execute(
        delete(DeviceCode)
        .where(
            DeviceCode.user_id == user_id,
            DeviceCode.client_id == client_id,
            DeviceCode.redeemed_at.is_(None),
        )
        .execution_options(synchronize_session=False)
    )


def _is_undecided() -> ColumnElement[bool]:
    return and_(
        DeviceCode.approved_at.is_(None),
        DeviceCode.denied_at.is_(None),
        DeviceCode.expires_at > clock.now(),
    )


def _updates_one(db: Session, statement: Update, code_id: int) -> bool:
    updated = db.scalars(
        statement.where(DeviceCode.id == code_id)
        .returning(DeviceCode.id)
        .execution_options(synchronize_session=False)
    )
    return updated.one_or_none() is not None


_LOCK_USER = (
    select(DeviceCode, User)
    .join(User, User.id == DeviceCode.user_id)
    .where(DeviceCode.id == bindparam("code_id"))
    .options(joinedload(User.roles))
    .with_for_update(of=User, key_share=True)
    .execution_options(populate_existing=True)
)
