"""Checks and changes the password of a user who is logged in."""

from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys, sessions
from authentication.errors import WrongPassword
from authentication.passwords import strength
from authentication.service import Service
from counterfoil.errors import InvalidToken
from counterfoil.identity import Identity
from database import queries
from database.models import User


async def change_password(
    service: Service,
    identity: Identity,
    *,
    current: str,
    new: str,
    origin: Origin,
    end_api_keys: bool = False,
) -> None:
    """Change the caller's password and revoke their other sessions, and API keys on request.

    Raises WrongPassword, WeakPassword, TooManyAttempts, HashingBusy.
    """
    words = strength.words_about(identity, identity.email)
    strength.reject_weak(new, settings=service.settings, words=words, field="new_password")
    verified_user = await check_password(service, identity, current, origin)
    hashed = await service.hashing.run(lambda: service.hasher.hash(new), user_id=verified_user.id)

    def change(db: Session) -> None:
        user = lock_unchanged(db, verified_user, identity)
        store_password(db, user, hashed, origin=origin, keep=identity.session_id)
        if end_api_keys:
            api_keys.revoke_all(db, user.id, origin=origin, reason=Reason.PASSWORD_CHANGED)

    await service.database.run(change)


def store_password(
    db: Session, user: User, hashed: str, *, origin: Origin, keep: UUID | None = None
) -> None:
    """Store a new hash and revoke every session but the one to keep."""
    user.hashed_password = hashed
    db.flush()
    queries.throttle_counters.delete_of_user(db, user.id)
    audit.record(db, Event.PASSWORD_CHANGED, origin=origin, subject=audit.user(user.id))
    sessions.revoke_all(db, user.id, origin=origin, reason=Reason.PASSWORD_CHANGED, keep=keep)


async def check_password(
    service: Service, identity: Identity, password: str, origin: Origin
) -> User:
    """The user, if this is their password. Raises WrongPassword, TooManyAttempts, HashingBusy."""
    async with service.throttle.admit_password_check(identity.user_id, origin) as admission:
        user = admission.user
        is_right, _ = await admission.hash(
            lambda: service.hasher.verify(password, user.hashed_password, upgrade=False)
        )

    def record(db: Session) -> None:
        if is_right:
            admission.record_success(db)
        else:
            audit.record(db, Event.PASSWORD_REFUSED, origin=origin, subject=audit.user(user.id))

    await service.database.run(record)
    if not is_right:
        raise WrongPassword
    return user


def lock_unchanged(db: Session, verified_user: User, identity: Identity) -> User:
    """The user whose password was checked a moment ago.

    Raises WrongPassword if the password was changed while it was hashed, and InvalidToken if the
    user was deleted or the session revoked.
    """
    user = queries.users.lock(db, verified_user.id)
    if user is None:
        raise InvalidToken
    if identity.session_id and not queries.sessions.lock_valid(db, identity.session_id):
        raise InvalidToken
    if user.hashed_password != verified_user.hashed_password:
        raise WrongPassword
    return user
