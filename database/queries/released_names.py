"""Stores which names have been given up, and finds those that others have given up."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session

from database import clock
from database.models import ReleasedName
from database.queries import upsert


def add(db: Session, digests: Collection[bytes], *, user_id: int, ends_at: datetime) -> None:
    """Keep names with these digests for a user. What is known of them from before is replaced."""
    statement = upsert.insert(db, ReleasedName)
    replaced = {"user_id": statement.excluded.user_id, "ends_at": statement.excluded.ends_at}
    # In order, so that two transactions that release several names cannot deadlock.
    rows = [
        {"name_digest": digest, "user_id": user_id, "ends_at": ends_at}
        for digest in sorted(digests)
    ]
    db.execute(
        statement.on_conflict_do_update(index_elements=[ReleasedName.name_digest], set_=replaced),
        rows,
    )


def is_kept_from(digest: bytes, *, user_id: int | None) -> ColumnElement[bool]:
    """The condition that a name is kept for another user than this one. None: for any user."""
    kept = exists().where(ReleasedName.name_digest == digest, ReleasedName.ends_at > clock.now())
    return kept if user_id is None else kept.where(ReleasedName.user_id != user_id)


def is_kept(db: Session, digest: bytes, *, user_id: int | None) -> bool:
    """Whether a name is kept for another user than this one."""
    return bool(db.scalar(select(is_kept_from(digest, user_id=user_id))))


def count_kept(db: Session, *, user_id: int) -> int:
    """How many names are kept for a user."""
    kept = select(func.count()).where(
        ReleasedName.user_id == user_id, ReleasedName.ends_at > clock.now()
    )
    return db.scalar(kept) or 0


def delete_own(db: Session, digests: Collection[bytes], *, user_id: int) -> None:
    """Delete those of these names that are kept for the user, who has them again."""
    db.execute(
        delete(ReleasedName)
        .where(ReleasedName.name_digest.in_(digests), ReleasedName.user_id == user_id)
        .execution_options(synchronize_session=False)
    )
