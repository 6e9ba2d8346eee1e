"""Stores authenticator apps, and accepts each of their codes once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import TotpFactor


def begin(db: Session, user_id: int, **fields: Any) -> TotpFactor:
    """Add an app that is to be confirmed, in place of one that never was."""
    db.execute(
        delete(TotpFactor)
        .where(TotpFactor.user_id == user_id, TotpFactor.confirmed_at.is_(None))
        .execution_options(synchronize_session=False)
    )
    factor = TotpFactor(user_id=user_id, **fields)
    db.add(factor)
    db.flush()
    return factor


def find_unconfirmed(db: Session, user_id: int) -> TotpFactor | None:
    """The app that is to be confirmed."""
    is_theirs = TotpFactor.user_id == user_id
    return db.scalar(select(TotpFactor).where(is_theirs, TotpFactor.confirmed_at.is_(None)))


def list_confirmed(db: Session, user_id: int) -> Sequence[TotpFactor]:
    """The apps of a user, oldest first."""
    is_theirs = TotpFactor.user_id == user_id
    query = select(TotpFactor).where(is_theirs, TotpFactor.confirmed_at.is_not(None))
    return db.scalars(query.order_by(TotpFactor.created_at, TotpFactor.id)).all()


def use_step(db: Session, factor_id: UUID, step: int, *, confirms: bool = False) -> bool:
    """Note that the code of a step was used. False if it, or a later one, has been used before.

    With `confirms`, it is the first code of the app.
    """
    values: dict[str, Any] = {"last_step": step}
    if confirms:
        values["confirmed_at"] = clock.now()
    used = db.scalars(
        update(TotpFactor)
        .where(TotpFactor.id == factor_id, TotpFactor.last_step < step)
        .values(values)
        .returning(TotpFactor.id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None


def find_of_user(db: Session, factor_id: UUID, *, user_id: int) -> TotpFactor | None:
    """An app of this user, confirmed or not."""
    is_theirs = TotpFactor.user_id == user_id
    return db.scalar(select(TotpFactor).where(TotpFactor.id == factor_id, is_theirs))


def delete_one(db: Session, factor_id: UUID) -> None:
    """Delete an app."""
    db.execute(
        delete(TotpFactor)
        .where(TotpFactor.id == factor_id)
        .execution_options(synchronize_session=False)
    )


def list_sealed(db: Session, *, after: UUID | None, limit: int) -> Sequence[TotpFactor]:
    """The next apps by id, locked, for the rotation of keys."""
    query = select(TotpFactor).order_by(TotpFactor.id).limit(limit).with_for_update()
    if after is not None:
        query = query.where(TotpFactor.id > after)
    return db.scalars(query).all()
