"""Finds accounts, disables and deletes them, and says what their names may look like."""

import re

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.credentials import sessions
from authentication.emails import LoginName
from authentication.errors import (
    EmailTaken,
    InvalidField,
    LastAdministrator,
    NotFound,
    UsernameTaken,
)
from authentication.permissions import ADMIN
from database import limits, queries
from database.models import User

_USERNAME = re.compile(limits.USERNAME_PATTERN, re.ASCII)


def find_by_id(db: Session, user_id: int) -> User | None:
    """With roles. None also for a number that no user can have."""
    return queries.users.find(db, user_id) if user_id <= limits.MAX_ID else None


def find_by_name(db: Session, name: LoginName) -> User | None:
    """By e-mail address or by username, with roles."""
    return queries.users.find_by_name(db, name.normalised, is_email=name.is_email)


def lock(db: Session, user_id: int) -> User:
    """The user, held against changes until the transaction is over. Raises NotFound."""
    user = queries.users.lock(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def reject_taken(
    db: Session, *, email: str | None, username: str | None, user_id: int | None = None
) -> None:
    """Raises EmailTaken, UsernameTaken if that is the name of another user."""
    lowered = username.lower() if username else None
    names = [name for name in (email, lowered) if name is not None]
    taken = queries.users.find_taken(db, names, besides=user_id) if names else set()
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
    """Whether an active user has the scope `admin`."""
    return bool(queries.users.list_active_with_scope(db, ADMIN))


def delete(db: Session, user_id: int, *, origin: Origin) -> None:
    """Delete an account and everything that belongs to it. Raises LastAdministrator, NotFound."""
    _lock_for_removal(db, user_id)
    queries.users.delete(db, user_id)
    audit.record(db, Event.USER_DELETED, origin=origin, subject=audit.user(user_id))


def _lock_for_removal(db: Session, user_id: int) -> User:
    """The user, locked. Raises LastAdministrator, NotFound."""
    queries.users.lock_roles_with_scope(db, ADMIN)
    user = lock(db, user_id)
    if list(queries.users.list_active_with_scope(db, ADMIN)) == [user_id]:
        raise LastAdministrator
    return user


def reject_username(username: str | None) -> None:
    """Raises InvalidField for what no username looks like."""
    if username is not None and not _USERNAME.fullmatch(username):
        most = limits.MAX_USERNAME_LENGTH
        raise InvalidField("username", f"Use letters, digits and . _ + - only, at most {most}.")


def reject_name(field: str, name: str | None) -> None:
    """Raises InvalidField for a name or surname that is too long, or not fit to be printed."""
    # The command line passes on what HTTP's schemas would reject.
    if name is not None and not (name.isprintable() and len(name) <= limits.MAX_LABEL_LENGTH):
        most = limits.MAX_LABEL_LENGTH
        raise InvalidField(field, f"Use printable characters only, at most {most}.")
