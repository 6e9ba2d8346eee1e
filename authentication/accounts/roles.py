"""Finds, creates, changes and deletes roles, and gives and takes them."""

import re
from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from authentication import audit, labels, permissions
from authentication.audit import Event, Origin
from authentication.errors import (
    InvalidField,
    LastAdministrator,
    NotFound,
    RoleRequired,
    RolesReadOnly,
    RoleTaken,
)
from authentication.permissions import ADMIN
from counterfoil.permissions import split_scopes
from database import limits, queries
from database.models import Role, User
from database.text import is_comparable

DEFAULT_ROLE = "user"

_NAME = re.compile(limits.ROLE_PATTERN, re.ASCII)
# RFC 6749, 3.3, without the semicolon, which divides roles in the lookup.
_SCOPES = re.compile(r"[!#-:<-\[\]-~ ]*", re.ASCII)


def list_all(db: Session) -> Sequence[Role]:
    """By name."""
    return queries.users.list_roles(db)


def list_with_counts(db: Session) -> Sequence[tuple[Role, int]]:
    """By name, each with the number of users who have it."""
    return queries.roles.list_with_counts(db)


def get_by_names(db: Session, names: Sequence[str]) -> list[Role]:
    """Raises InvalidField unless there are all of them."""
    found = list(queries.users.find_roles(db, [name for name in names if is_comparable(name)]))
    if len(found) != len(set(names)):
        raise InvalidField("roles", "There is no such role.")
    return found


def create(
    db: Session,
    name: str,
    *,
    description: str,
    scopes: str,
    requires_second_factor: bool = False,
    origin: Origin,
) -> Role:
    """Create a role that nobody has yet. Raises RolesReadOnly, InvalidField, RoleTaken.

    One that requires a second factor gives nothing to a session in which none was given.
    """
    _demand_changeable(db)
    cleaned = name.strip()
    if not _NAME.fullmatch(cleaned):
        most = limits.MAX_ROLE_LENGTH
        raise InvalidField("name", f"Use letters, digits and . _ : + - only, at most {most}.")
    if queries.roles.is_taken(db, cleaned):
        raise RoleTaken
    role = Role(
        name=cleaned,
        description=_clean_description(description),
        scopes=_clean_scopes(scopes),
        requires_second_factor=requires_second_factor,
    )
    db.add(role)
    db.flush()
    audit.record(
        db,
        Event.ROLE_CREATED,
        origin=origin,
        subject=audit.role(cleaned),
        scopes=role.scopes,
        requires_second_factor=requires_second_factor or None,
    )
    return role


def change(
    db: Session,
    name: str,
    *,
    description: str | None = None,
    scopes: str | None = None,
    requires_second_factor: bool | None = None,
    origin: Origin,
) -> Role:
    """Change a role from the next request of its users on. None means no change.

    Raises RolesReadOnly, NotFound, InvalidField, LastAdministrator.
    """
    _demand_changeable(db)
    had_administrator = _lock_administrators(db)
    role = _lock(db, name)
    before = role.scopes
    if description is not None:
        role.description = _clean_description(description)
    if scopes is not None:
        role.scopes = _clean_scopes(scopes)
    if requires_second_factor is not None:
        role.requires_second_factor = requires_second_factor
    db.flush()
    _demand_administrator(db, had_one=had_administrator)
    audit.record(
        db,
        Event.ROLE_CHANGED,
        origin=origin,
        subject=audit.role(role.name),
        scopes=role.scopes,
        scopes_before=before if before != role.scopes else None,
        requires_second_factor=requires_second_factor,
    )
    return role


def delete(db: Session, name: str, *, origin: Origin) -> None:
    """Delete a role, and so take it from everybody.

    Raises RolesReadOnly, NotFound, RoleRequired, LastAdministrator.
    """
    _demand_changeable(db)
    had_administrator = _lock_administrators(db)
    role = _lock(db, name)
    if role.name == DEFAULT_ROLE:
        raise RoleRequired
    subject, scopes = audit.role(role.name), role.scopes
    queries.roles.delete(db, role)
    _demand_administrator(db, had_one=had_administrator)
    audit.record(db, Event.ROLE_DELETED, origin=origin, subject=subject, scopes=scopes)


def set_roles(db: Session, user_id: int, names: Sequence[str], *, origin: Origin) -> User:
    """Give a user these roles and no others, from the next request on.

    Raises LastAdministrator, NotFound, and InvalidField for an unknown role.
    """
    return _change_roles(db, user_id, lambda _: set(names), origin)


def grant(db: Session, user_id: int, name: str, *, origin: Origin) -> User:
    """Give a user one more role. Raises NotFound, and InvalidField for an unknown role."""
    return _change_roles(db, user_id, lambda before: before | {name}, origin)


def revoke(db: Session, user_id: int, name: str, *, origin: Origin) -> User:
    """Take a role from a user, who need not have it.

    Raises LastAdministrator, NotFound, and InvalidField for an unknown role.
    """
    get_by_names(db, [name])
    return _change_roles(db, user_id, lambda before: before - {name}, origin)


def _change_roles(
    db: Session, user_id: int, change: Callable[[set[str]], set[str]], origin: Origin
) -> User:
    had_administrator = _lock_administrators(db)
    user = queries.users.lock(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    before = {role.name for role in user.roles}
    after = change(before)
    user.roles = get_by_names(db, sorted(after))
    db.flush()
    _demand_administrator(db, had_one=had_administrator)
    _record(db, user_id, before=before, after=after, origin=origin)
    return user


def can_be_changed(db: Session) -> bool:
    """Whether the role by which we are connected may change what roles grant."""
    return queries.roles.can_be_changed(db)


def _demand_changeable(db: Session) -> None:
    if not can_be_changed(db):
        raise RolesReadOnly


def _lock_administrators(db: Session) -> bool:
    """Keep others from changing who has the scope `admin`. Returns whether a person has it."""
    queries.users.lock_roles_with_scope(db, ADMIN)
    return bool(queries.users.list_people_with_scope(db, ADMIN))


def _demand_administrator(db: Session, *, had_one: bool) -> None:
    """Raises LastAdministrator if the change has left none."""
    if had_one and not queries.users.list_people_with_scope(db, ADMIN):
        raise LastAdministrator


def _lock(db: Session, name: str) -> Role:
    role = queries.roles.lock(db, name.strip()) if is_comparable(name) else None
    if role is None:
        raise NotFound("There is no such role.")
    return role


def _clean_description(text: str) -> str:
    return labels.clean("description", text, most=limits.MAX_TEXT_LENGTH)


def _clean_scopes(text: str) -> str:
    if len(text) > limits.MAX_TEXT_LENGTH or not _SCOPES.fullmatch(text):
        raise InvalidField("scopes", "Use visible ASCII but for quotes, backslash and semicolon.")
    return permissions.join(split_scopes(text))


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
