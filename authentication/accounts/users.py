"""Finds accounts, disables and deletes them, and says what their names may look like."""

import re

from sqlalchemy.orm import Session

from authentication import audit, labels
from authentication.accounts import names
from authentication.audit import Event, Origin, Reason
from authentication.credentials import sessions
from authentication.credentials.actor import Actor, Targets
from authentication.emails import LoginName
from authentication.errors import (
    EmailTaken,
    InvalidField,
    LastAdministrator,
    NotFound,
    UsernameTaken,
)
from authentication.permissions import ADMIN
from authentication.settings import AuthenticationSettings
from database import limits, queries
from database.models import User

_USERNAME = re.compile(limits.USERNAME_PATTERN, re.ASCII)


def find_by_id(db: Session, user_id: int) -> User | None:
    """With roles. None also for a number that no user can have."""
    return queries.users.find(db, user_id) if user_id <= limits.MAX_ID else None


def get(db: Session, user_id: int) -> User:
    """With roles. Raises NotFound."""
    user = find_by_id(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def find_by_name(db: Session, name: LoginName) -> User | None:
    """By e-mail address or by username, with roles."""
    return queries.users.find_by_name(db, name.typed, normalised=name.normalised)


def lock(db: Session, user_id: int) -> User:
    """The user, held against changes until the transaction is over. Raises NotFound."""
    user = queries.users.lock(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def reject_taken(
    db: Session, *, email: str | None, username: str | None, user_id: int | None = None
) -> None:
    """Raises EmailTaken, UsernameTaken if that is the name of another user, or was until lately."""
    lowered = username.lower() if username else None
    wanted = {name: names.digest(name) for name in (email, lowered) if name is not None}
    taken = queries.users.find_taken(db, wanted, besides=user_id) if wanted else set()
    if email in taken:
        raise EmailTaken
    if lowered in taken:
        raise UsernameTaken


def set_active(db: Session, user_id: int, *, active: bool, origin: Origin) -> User:
    """Enable an account, or disable it and revoke its sessions.

    Raises LastAdministrator, NotFound.
    """
    user = _lock_for_removal(db, user_id) if not active else lock(db, user_id)
    if user.is_active == active:
        return user
    user.is_active = active
    db.flush()
    event = Event.USER_ENABLED if active else Event.USER_DISABLED
    audit.record(db, event, origin=origin, subject=audit.user(user_id))
    if not active:
        # Otherwise they would be accepted again once the account is enabled.
        sessions.revoke_all(db, user_id, origin=origin, reason=Reason.USER_DISABLED)
    return user


def has_administrator(db: Session) -> bool:
    """Whether somebody who can log in has the scope `admin`."""
    return bool(queries.users.list_people_with_scope(db, ADMIN))


def delete_own(db: Session, settings: AuthenticationSettings, actor: Actor) -> None:
    """Delete the actor's account and everything that belongs to it, but keep its names from others.

    The password must have been given a short while ago. Raises LastAdministrator.
    """
    user_id = actor.identity.user_id
    of_user = queries.sessions.select_of_user(user_id)
    targets = Targets(sessions=of_user, administrators=True, for_deletion=True)
    actor.hold(db, targets, fresh=True)
    delete(db, settings, user_id, origin=actor.origin)


def delete(db: Session, settings: AuthenticationSettings, user_id: int, *, origin: Origin) -> None:
    """Delete an account and everything that belongs to it, but keep its names from others.

    Raises LastAdministrator, NotFound.
    """
    queries.users.lock_roles_with_scope(db, ADMIN)
    # All that the deletion will take along, in the documented order, before it waits for any.
    queries.users.lock_many(db, [user_id], for_deletion=True)
    of_user = queries.sessions.select_of_user(user_id)
    queries.sessions.lock_for_change(db, own_id=None, targets=of_user)
    queries.access_tokens.lock_of_user(db, user_id)
    user = _lock_for_removal(db, user_id)
    names.release_all(db, settings, user)
    queries.users.delete(db, user_id)
    audit.record(db, Event.USER_DELETED, origin=origin, subject=audit.user(user_id))


def _lock_for_removal(db: Session, user_id: int) -> User:
    """The user, locked. Raises LastAdministrator, NotFound."""
    queries.users.lock_roles_with_scope(db, ADMIN)
    user = lock(db, user_id)
    if list(queries.users.list_people_with_scope(db, ADMIN)) == [user_id]:
        raise LastAdministrator
    return user


def clean_field(field: str, value: str | None) -> str | None:
    """A new name, surname, username or website, as it is stored. Raises InvalidField."""
    if value is None:
        return None
    match field:
        case "username":
            return _clean_username(value)
        case "website":
            return labels.clean(field, value, most=limits.MAX_TEXT_LENGTH)
    return labels.clean(field, value, least=1 if field == "name" else 0)


def _clean_username(username: str) -> str:
    cleaned = username.strip()
    if not _USERNAME.fullmatch(cleaned):
        most = limits.MAX_USERNAME_LENGTH
        allowed = f"letters, digits and . _ + - only, at most {most}, and not digits alone"
        raise InvalidField("username", f"Use {allowed}.")
    return cleaned
