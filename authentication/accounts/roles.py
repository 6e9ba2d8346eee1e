"""Finds, gives and takes roles."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.errors import InvalidField, LastAdministrator, NotFound
from authentication.permissions import ADMIN
from database.models import Role, User
from database.queries import users


def list_all(session: Session) -> Sequence[Role]:
    """By name."""
    return users.list_roles(session)


def get_by_names(session: Session, names: Sequence[str]) -> list[Role]:
    """Raises InvalidField unless there are all of them."""
    found = list(users.find_roles(session, [name for name in names if name.isprintable()]))
    if len(found) != len(set(names)):
        raise InvalidField("roles", "There is no such role.")
    return found


def set_roles(session: Session, user_id: int, names: Sequence[str], *, origin: Origin) -> User:
    """Give a user these roles and no others, from the next request on.

    Raises LastAdministrator, NotFound, and InvalidField for an unknown role.
    """
    users.lock_roles_with_scope(session, ADMIN)
    user = users.lock(session, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    before = {role.name for role in user.roles}
    is_last = list(users.list_active_with_scope(session, ADMIN)) == [user_id]
    user.roles = get_by_names(session, names)
    session.flush()
    if is_last and not users.list_active_with_scope(session, ADMIN):
        raise LastAdministrator
    _record(session, user_id, before=before, after=set(names), origin=origin)
    return user


def _record(
    session: Session, user_id: int, *, before: set[str], after: set[str], origin: Origin
) -> None:
    if before != after:
        audit.record(
            session,
            Event.ROLES_CHANGED,
            origin=origin,
            subject=audit.user(user_id),
            added=sorted(after - before),
            removed=sorted(before - after),
        )
