"""Finds accounts, disables and deletes them, and says what their names may look like."""

import re

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.credentials import sessions
from authentication.emails import normalise_email
from authentication.errors import InvalidField, LastAdministrator, NotFound
from authentication.permissions import ADMIN
from database.models import User
from database.queries import users

MAX_NAME_LENGTH = 200
# What the column can hold; PostgreSQL refuses to compare it with more.
MAX_ID = 2**31 - 1

# No "@", so that a username is never taken for an address, and no two that look the same.
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)


def find_by_id(session: Session, user_id: int) -> User | None:
    """With roles. None also for a number that no user can have."""
    return users.find(session, user_id) if user_id <= MAX_ID else None


def find_by_identifier(session: Session, identifier: str) -> User | None:
    """By e-mail address, in any spelling, or by username. None also for what can be neither."""
    if "@" not in identifier:
        is_username = USERNAME.fullmatch(identifier) is not None
        return users.find_by_username(session, identifier) if is_username else None
    try:
        return users.find_by_email(session, normalise_email(identifier))
    except InvalidField:
        return None


def lock(session: Session, user_id: int) -> User:
    """The user, held against changes until the transaction is over. Raises NotFound."""
    user = users.lock(session, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def set_active(session: Session, user_id: int, *, active: bool, origin: Origin) -> User:
    """Enable an account, or disable it and end its sessions. Raises LastAdministrator, NotFound."""
    user = _lock_for_removal(session, user_id) if not active else lock(session, user_id)
    if user.is_active == active:
        return user
    user.is_active = active
    session.flush()
    event = Event.USER_ENABLED if active else Event.USER_DISABLED
    audit.record(session, event, origin=origin, subject=audit.user(user_id))
    if not active:
        # They would be refused anyway, but enabling the account must not bring them back.
        sessions.end_all(session, user_id, origin=origin, reason="user_disabled")
    return user


def has_administrator(session: Session) -> bool:
    """Whether an active user has the scope `admin`."""
    return bool(users.list_active_with_scope(session, ADMIN))


def delete(session: Session, user_id: int, *, origin: Origin) -> None:
    """Delete an account and everything that belongs to it. Raises LastAdministrator, NotFound."""
    _lock_for_removal(session, user_id)
    users.delete(session, user_id)
    audit.record(session, Event.USER_DELETED, origin=origin, subject=audit.user(user_id))


def _lock_for_removal(session: Session, user_id: int) -> User:
    """The user, if the service keeps an administrator without them. Raises LastAdministrator."""
    users.lock_roles_with_scope(session, ADMIN)
    user = lock(session, user_id)
    if list(users.list_active_with_scope(session, ADMIN)) == [user_id]:
        raise LastAdministrator
    return user


def refuse_username(username: str | None) -> None:
    """Raises InvalidField for what no username looks like."""
    if username is not None and not USERNAME.fullmatch(username):
        raise InvalidField("username", "Use letters, digits and . _ + - only, at most 64.")


def refuse_name(field: str, name: str | None) -> None:
    """Raises InvalidField for a name or surname that is too long, or not fit to be printed."""
    # The command line passes on what HTTP's schemas would refuse.
    if name is not None and not (name.isprintable() and len(name) <= MAX_NAME_LENGTH):
        raise InvalidField(field, f"Use printable characters only, at most {MAX_NAME_LENGTH}.")
