"""Stores, finds and changes passkeys."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, delete, func, literal, or_, select, update
from sqlalchemy.orm import Session, joinedload

from database import clock
from database.models import Passkey, User
from database.queries import upsert


class Owned(NamedTuple):
    """A passkey and its user, who is loaded with roles and known addresses."""

    passkey: Passkey
    user: User


def list_of_user(db: Session, user_id: int) -> Sequence[Passkey]:
    """The passkeys of a user, oldest first. There are few: the number is limited."""
    query = select(Passkey).where(Passkey.user_id == user_id)
    return db.scalars(query.order_by(Passkey.created_at, Passkey.id)).all()


def count_of_user(db: Session, user_id: int) -> int:
    """How many passkeys a user has."""
    query = select(func.count()).select_from(Passkey).where(Passkey.user_id == user_id)
    return db.scalar(query) or 0


def find_owned(db: Session, credential_id: bytes) -> Owned | None:
    """The passkey with this id of an authenticator, and its user."""
    query = (
        select(Passkey, User)
        .join(User, User.id == Passkey.user_id)
        .where(Passkey.credential_id == credential_id)
        .options(joinedload(User.roles), joinedload(User.known_addresses))
    )
    row = db.execute(query).unique().one_or_none()
    return None if row is None else Owned(*row)


def add(db: Session, **fields: Any) -> Passkey | None:
    """Add a passkey. None if there is one with the same id of an authenticator, of whichever user.

    Ids are random, so only somebody who has seen it can send one that is there already.
    """
    added = (
        upsert.insert(db, Passkey)
        .values(**fields)
        .on_conflict_do_nothing(index_elements=[Passkey.credential_id])
    )
    return db.scalar(added.returning(Passkey))


def advance(db: Session, passkey_id: UUID, *, sign_count: int, backed_up: bool) -> bool:
    """Store the counter of a signature that was verified. Returns False if it does not rise.

    By one statement, so that of two signatures with the same counter only one is accepted. Synced
    passkeys have no counter: theirs is always 0.
    """
    rises = Passkey.sign_count < sign_count
    has_none = and_(Passkey.sign_count == 0, literal(sign_count) == 0)
    advanced = db.scalars(
        update(Passkey)
        .where(Passkey.id == passkey_id, or_(rises, has_none))
        .values(sign_count=sign_count, backed_up=backed_up, last_used_at=clock.now())
        .returning(Passkey.id)
        .execution_options(synchronize_session=False)
    )
    return advanced.one_or_none() is not None


def suspect_clone(db: Session, passkey_id: UUID) -> None:
    """Note that a counter was sent that does not rise. What is stored stays as it is."""
    db.execute(
        update(Passkey)
        .where(Passkey.id == passkey_id)
        .values(clone_suspected_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def rename(db: Session, passkey_id: UUID, *, user_id: int, name: str) -> Passkey | None:
    """Rename a passkey of this user. None if there is no such passkey of theirs."""
    return db.scalar(
        update(Passkey)
        .where(Passkey.id == passkey_id, Passkey.user_id == user_id)
        .values(name=name)
        .returning(Passkey)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def find_of_user(db: Session, passkey_id: UUID, *, user_id: int) -> Passkey | None:
    """A passkey of this user."""
    query = select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    return db.scalar(query)


def delete_one(db: Session, passkey_id: UUID) -> None:
    """Delete a passkey."""
    db.execute(
        delete(Passkey).where(Passkey.id == passkey_id).execution_options(synchronize_session=False)
    )
