"""Finds, gives and takes roles."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.errors import InvalidField, LastAdministrator, NotFound
from authentication.permissions import ADMIN
from database import queries
from database.models import Role, User
from database.text import is_comparable


def list_all(db: Session) -> Sequence[Role]:
    """By name."""
    return queries.users.list_roles(db)


def get_by_names(db: Session, names: Sequence[str]) -> list[Role]:
    """Raises InvalidField unless there are all of them."""
    found = list(queries.users.find_roles(db, [name for name in names if is_comparable(name)]))
    if len(found) != len(set(names)):
        raise InvalidField("roles", "There is no such role.")
    return found


def set_roles(db: Session, user_id: int, names: Sequence[str], *, origin: Origin) -> User:
    """Give a user these roles and no others, from the next request on.

    Raises LastAdministrator, NotFound, and InvalidField for an unknown role.
    """
    queries.users.lock_roles_with_scope(db, ADMIN)
    user = queries.users.lock(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    before = {role.name for role in user.roles}
    is_last = list(queries.users.list_active_with_scope(db, ADMIN)) == [user_id]
    user.roles = get_by_names(db, names)
    db.flush()
    if is_last and not queries.users.list_active_with_scope(db, ADMIN):
        raise LastAdministrator
    _record(db, user_id, before=before, after=set(names), origin=origin)
    return user


def _record(
    db: Session, user_id: int, *, before: set[str], after: set[str], origin: Origin
) -> None:
    if before != after:
        audit.record(
            db,
            Event.ROLES_CHANGED,
            origin=origin,
            subject=audit.user(user_id),
            added=sorted(after - before),
            removed=sorted(before - after),
        )
