"""Stores and uses recovery codes."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import RecoveryCode


def replace_all(db: Session, user_id: int, digests: Sequence[bytes]) -> None:
    """Give a user, who must be locked, these codes in place of all others."""
    delete_of_user(db, user_id)
    rows = [{"user_id": user_id, "code_digest": digest} for digest in digests]
    db.execute(insert(RecoveryCode), rows)


def use(db: Session, user_id: int, digest: bytes) -> bool:
    """Note that a code was used. False if it is not one of the user's, or was used before."""
    used = db.scalars(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_digest == digest,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .returning(RecoveryCode.id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None


def count_unused(db: Session, user_id: int) -> int:
    """How many codes a user has left."""
    is_theirs = RecoveryCode.user_id == user_id
    query = select(func.count()).where(is_theirs, RecoveryCode.used_at.is_(None))
    return db.scalar(query) or 0


def delete_of_user(db: Session, user_id: int) -> None:
    """Delete every code of a user."""
    db.execute(
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user_id)
        .execution_options(synchronize_session=False)
    )
