"""Counts the uses of API keys by day, and reads their limits."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from database import clock
from database.models import ApiKey, ApiKeyUse
from database.queries import upsert


def read_limits(db: Session, ids: Collection[UUID]) -> dict[UUID, int | None]:
    """The limits of those of these keys that there are, which may be none."""
    rows = db.execute(select(ApiKey.id, ApiKey.requests_per_minute).where(ApiKey.id.in_(ids)))
    return {row.id: row.requests_per_minute for row in rows}


def add(db: Session, uses: Mapping[UUID, int]) -> None:
    """Add to the counts of today.

    Keys that another transaction is deleting are left out: waiting for it, with others locked,
    could deadlock.
    """
    unlocked = (
        select(ApiKey.id)
        .where(ApiKey.id.in_(uses))
        .order_by(ApiKey.id)
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    today = clock.read(db).date()
    rows = [
        {"api_key_id": key_id, "day": today, "uses": uses[key_id]}
        for key_id in db.scalars(unlocked)
    ]
    if not rows:
        return
    insert = upsert.insert(db, ApiKeyUse).values(rows)
    db.execute(
        insert.on_conflict_do_update(
            index_elements=[ApiKeyUse.api_key_id, ApiKeyUse.day],
            set_={"uses": ApiKeyUse.uses + insert.excluded.uses},
        )
    )


def list_of_key(db: Session, api_key_id: UUID, *, limit: int) -> Sequence[ApiKeyUse]:
    """The days on which a key was used, newest first."""
    query = select(ApiKeyUse).where(ApiKeyUse.api_key_id == api_key_id)
    return db.scalars(query.order_by(ApiKeyUse.day.desc()).limit(limit)).all()
