"""Finds what is in the way of users that are imported, and keeps their ids free."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import Session

from database.models import User
from database.queries import upsert

# The sequence may be ahead, where users were created and deleted again.
_RAISE_SEQUENCE = text(
    "SELECT setval(pg_get_serial_sequence('users', 'id'), :highest)"
    " WHERE :highest > COALESCE(pg_sequence_last_value("
    "   CAST(pg_get_serial_sequence('users', 'id') AS regclass)), 0)"
)


def find_present(
    db: Session, wanted: Mapping[str, Sequence[Any]]
) -> dict[str, Mapping[object, int]]:
    """The ids of the users that have one of these, by each `id`, `email` and lower-case `username`.

    Addresses are compared in lower case, and returned as they are stored.
    """
    return {
        "id": {
            found: found for found in db.scalars(select(User.id).where(User.id.in_(wanted["id"])))
        },
        "email": _find(db, User.email, _has_email(wanted["email"])),
        "username": _find(
            db, func.lower(User.username), func.lower(User.username).in_(wanted["username"])
        ),
    }


def _find(db: Session, key: Any, condition: ColumnElement[bool]) -> dict[object, int]:
    return dict(db.execute(select(key, User.id).where(condition)).all())


def keep_ids_free(db: Session, highest: int) -> None:
    """Let accounts that are created from now on have higher ids than this. SQLite does so itself.

    Needs the right to update the sequence, which the owner of the tables has.
    """
    if highest and upsert.dialect_of(db) == "postgresql":
        db.execute(_RAISE_SEQUENCE, {"highest": highest})


def list_active(db: Session, emails: Collection[str]) -> Sequence[tuple[str, int, int]]:
    """Address, id and session epoch of the active users with one of these addresses."""
    users = select(User.email, User.id, User.session_epoch)
    found = db.execute(users.where(_has_email(emails), User.is_active))
    return [(email, user_id, epoch) for email, user_id, epoch in found]


def _has_email(emails: Collection[str]) -> ColumnElement[bool]:
    # Lowered by the database, as its index is: SQLite knows only the letters of ASCII.
    others = [func.lower(email) for email in emails if not email.isascii()]
    lowered = func.lower(User.email)
    return or_(lowered.in_([email for email in emails if email.isascii()]), lowered.in_(others))
