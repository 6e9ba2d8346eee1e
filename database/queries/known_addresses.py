"""Remembers from where users have logged in."""

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from database import clock
from database.models import KnownAddress
from database.queries import upsert


def is_known(session: Session, *, user_id: int, digest: bytes) -> bool:
    """Whether the user has logged in from there before."""
    known = exists().where(KnownAddress.user_id == user_id, KnownAddress.address_digest == digest)
    return bool(session.scalar(select(known)))


def note(session: Session, *, user_id: int, digest: bytes, keep: int) -> None:
    """The user has just logged in from there. Only the `keep` latest addresses stay."""
    session.execute(
        upsert.insert(session, KnownAddress)
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
    session.execute(
        delete(KnownAddress)
        .where(KnownAddress.user_id == user_id, KnownAddress.id.not_in(latest))
        .execution_options(synchronize_session=False)
    )
