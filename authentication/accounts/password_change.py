"""Checks and changes the password of a user who is logged in."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, permissions
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys, issuance, sessions
from authentication.credentials.issuance import TokenPair
from authentication.errors import WrongPassword
from authentication.passwords import strength
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import known_networks
from authentication.throttling.admission import Admission
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
    end_api_keys: bool = True,
    settings: AuthenticationSettings | None = None,
) -> TokenPair:
    """Change the caller's password, and revoke their other sessions and their API keys.

    Returns new tokens for the session of the caller, which replace all that it has: somebody else
    may hold a copy of them. They live as long as the service's settings say unless others are
    given. Raises WrongPassword, WeakPassword, TooManyAttempts, HashingBusy.
    """
    words = strength.words_about(identity, identity.email)
    strength.reject_weak(new, settings=service.settings, words=words, field="new_password")
    verified_user = await check_password(service, identity, current, origin)
    hashed = await service.hashing.run(lambda: service.hasher.hash(new), user_id=verified_user.id)

    def change(db: Session) -> TokenPair:
        user = lock_unchanged(db, verified_user, identity)
        keep = identity.session_id
        store_password(db, user, hashed, origin=origin, keep=keep, end_api_keys=end_api_keys)
        return _replace_tokens(db, settings or service.settings, user, identity)

    return await service.database.run(change)


def store_password(
    db: Session,
    user: User,
    hashed: str,
    *,
    origin: Origin,
    keep: UUID | None = None,
    end_api_keys: bool = True,
) -> None:
    """Store a new hash, and end whatever somebody else may have obtained by the old one.

    That is every session but the one to keep, every API key unless they are to be kept, and every
    known network but the one that the change comes from.
    """
    user.hashed_password = hashed
    db.flush()
    queries.throttle_counters.delete_of_user(db, user.id)
    known_networks.forget(db, user.id, keep=origin.network)
    audit.record(db, Event.PASSWORD_CHANGED, origin=origin, subject=audit.user(user.id))
    sessions.revoke_all(db, user.id, origin=origin, reason=Reason.PASSWORD_CHANGED, keep=keep)
    if end_api_keys:
        api_keys.revoke_all(db, user.id, origin=origin, reason=Reason.PASSWORD_CHANGED)


def _replace_tokens(
    db: Session, settings: AuthenticationSettings, user: User, identity: Identity
) -> TokenPair:
    """A new pair of tokens with the scopes that the session and the caller's token have.

    Raises InvalidToken if the session has no tokens any more.
    """
    session = queries.sessions.lock_valid(db, identity.session_id) if identity.session_id else None
    if session is None:
        raise InvalidToken
    narrowed = permissions.join(identity.scopes)
    granted = queries.refresh_tokens.find_granted(db, session.id, default=narrowed)
    replaced = queries.access_tokens.delete_all_but_newest(db, session.id)
    if replaced is None:
        raise InvalidToken
    is_narrowed = identity.scopes != issuance.effective_scopes(user, granted)
    scopes = narrowed if is_narrowed else granted
    return issuance.renew(
        db, settings, replaced, session=session, user=user, granted=granted, scopes=scopes
    )


async def check_password(
    service: Service, identity: Identity, password: str, origin: Origin
) -> User:
    """The user, if this is their password. Raises WrongPassword, TooManyAttempts, HashingBusy."""
    async with service.throttle.admit_password_check(identity.user_id, origin) as admission:
        user = admission.user
        check = _PasswordCheck(user, origin, admission)
        is_right, _ = await admission.hash(
            lambda: service.hasher.verify(password, user.hashed_password, upgrade=False),
            if_abandoned=check.record_abandoned,
        )
    await service.database.run(lambda db: check.record(db, is_right=is_right))
    if not is_right:
        raise WrongPassword
    return user


@dataclass(frozen=True, slots=True)
class _PasswordCheck:
    """A check of the current password, whose result is recorded in one transaction."""

    user: User
    origin: Origin
    admission: Admission[User]

    def record(self, db: Session, *, is_right: bool) -> None:
        if is_right:
            self.admission.record_success(db)
        else:
            subject = audit.user(self.user.id)
            audit.record(db, Event.PASSWORD_REFUSED, origin=self.origin, subject=subject)

    def record_abandoned(self, db: Session, result: tuple[bool, str | None]) -> None:
        """A right password changes nothing for a client that is gone, and is no failure either."""
        is_right, _ = result
        if is_right:
            self.admission.undo(db)
        else:
            self.record(db, is_right=False)


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
