"""Stores the network addresses from which users have logged in."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import KnownAddress, User
from database.queries import upsert


def list_by_names(db: Session, names: Collection[str]) -> dict[str, list[tuple[int, bytes]]]:
    """User ids and digests by lower-case e-mail address and username, of users with these names."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    for email, username, user_id, digest in db.execute(_BY_NAMES, {"names": list(names)}):
        for name in filter(None, (email, username)):
            found.setdefault(name, []).append((user_id, digest))
    return found


def _select_by_names() -> Select[str, str | None, int, bytes]:
    columns = func.lower(User.email), func.lower(User.username)
    names: BindParameter[Any] = bindparam("names", expanding=True)
    return (
        select(*columns, KnownAddress.user_id, KnownAddress.address_digest)
        .join(KnownAddress, KnownAddress.user_id == User.id)
        .where(or_(*(column.in_(names) for column in columns)))
    )


# Built once, as floods of logins cause it.
_BY_NAMES = _select_by_names()


def add(db: Session, *, user_id: int, digest: bytes) -> None:
    """Record a login from the address with this digest."""
    db.execute(
        upsert.insert(db, KnownAddress)
        .values(user_id=user_id, address_digest=digest)
        .on_conflict_do_update(
            index_elements=[KnownAddress.user_id, KnownAddress.address_digest],
            set_={"last_used_at": clock.now()},
        )
    )


def replace_oldest(db: Session, *, user_id: int, digest: bytes) -> None:
    """Record it in place of the user's address that has not been used for longest."""
    is_there_already = KnownAddress.address_digest == digest
    oldest = (
        select(KnownAddress.id)
        .where(KnownAddress.user_id == user_id)
        .order_by(is_there_already.desc(), KnownAddress.last_used_at, KnownAddress.id)
        .limit(1)
    )
    db.execute(
        update(KnownAddress)
        .where(KnownAddress.id == oldest.scalar_subquery())
        .values(address_digest=digest, last_used_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def delete_of_user(db: Session, user_id: int, *, keep: bytes | None = None) -> None:
    """Delete all addresses of a user except the one with this digest."""
    deleted = delete(KnownAddress).where(KnownAddress.user_id == user_id)
    if keep is not None:
        deleted = deleted.where(KnownAddress.address_digest != keep)
    db.execute(deleted.execution_options(synchronize_session=False))
