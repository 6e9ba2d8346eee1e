"""Stores the network addresses from which users have logged in."""

from collections.abc import Sequence

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from database import clock
from database.models import KnownAddress
from database.queries import upsert


def is_known(db: Session, *, user_id: int, digest: bytes) -> bool:
    """Whether the user has logged in from the address with this digest."""
    known = exists().where(KnownAddress.user_id == user_id, KnownAddress.address_digest == digest)
    return bool(db.scalar(select(known)))


def list_known(
    db: Session, *, user_ids: Sequence[int], digests: Sequence[bytes]
) -> dict[bytes, int]:
    """User ids by digest, for those digests that are known. A digest covers user and address."""
    if not user_ids:
        return {}
    rows = db.execute(
        select(KnownAddress.address_digest, KnownAddress.user_id).where(
            KnownAddress.user_id.in_(user_ids), KnownAddress.address_digest.in_(digests)
        )
    )
    return dict(rows.all())


def record(db: Session, *, user_id: int, digest: bytes, keep: int) -> None:
    """Record a login from an address. Only the user's `keep` latest addresses are kept."""
    db.execute(
        upsert.insert(db, KnownAddress)
        .values(user_id=user_id, address_digest=digest)
        .on_conflict_do_update(
            index_elements=[KnownAddress.user_id, KnownAddress.address_digest],
            set_={"last_used_at": clock.now()},
        )
    )
    latest = (
        select(KnownAddress.id)
        .where(KnownAddress.user_id == user_id)
        .order_by(KnownAddress.last_used_at.desc(), KnownAddress.id.desc())
        .limit(keep)
    )
    db.execute(
        delete(KnownAddress)
        .where(KnownAddress.user_id == user_id, KnownAddress.id.not_in(latest))
        .execution_options(synchronize_session=False)
    )
