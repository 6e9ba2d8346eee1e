"""Keeps names that an account gives up from everybody else for a while.

Others may know the account by its old e-mail address or username. Whoever took it at once would be
taken for the former owner, whose mail and permissions elsewhere may still belong to that name.
"""

from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from authentication.emails import LoginName
from authentication.errors import ReleasedNameLimitReached
from authentication.settings import AuthenticationSettings
from database import clock, limits, queries
from database.models import User


def names_of(user: User) -> set[bytes]:
    """The names that a user has, as digests, to be compared after a change."""
    # An address that was inserted by SQL is compared in its normalised form.
    names = LoginName.parse(user.email).normalised, user.username
    return {digest(name) for name in names if name}


def digest(name: str) -> bytes:
    """What is stored of a name."""
    return sha256(name.lower().encode()).digest()


def record_change(
    db: Session,
    settings: AuthenticationSettings,
    user: User,
    before: Iterable[bytes],
    *,
    is_limited: bool = True,
) -> None:
    """Keep what the user has given up. Raises ReleasedNameLimitReached, unless it is unlimited."""
    after, before = names_of(user), set(before)
    if after - before:
        queries.released_names.delete_own(db, after - before, user_id=user.id)
    released = before - after
    if not released:
        return
    count = queries.released_names.count_kept(db, user_id=user.id) + len(released)
    if is_limited and settings.released_name_days and count > limits.MAX_RELEASED_NAMES:
        raise ReleasedNameLimitReached
    _keep(db, settings, user.id, released)


def reject_if_too_many(db: Session, settings: AuthenticationSettings, user: User) -> None:
    """Raises ReleasedNameLimitReached if the user could not give up another name."""
    kept = queries.released_names.count_kept(db, user_id=user.id)
    if settings.released_name_days and kept >= limits.MAX_RELEASED_NAMES:
        raise ReleasedNameLimitReached


def release_all(db: Session, settings: AuthenticationSettings, user: User) -> None:
    """Keep the names of a user who is about to be deleted."""
    _keep(db, settings, user.id, names_of(user))


def _keep(
    db: Session, settings: AuthenticationSettings, user_id: int, released: set[bytes]
) -> None:
    if settings.released_name_days:
        ends_at = clock.read(db) + timedelta(days=settings.released_name_days)
        queries.released_names.add(db, released, user_id=user_id, ends_at=ends_at)
