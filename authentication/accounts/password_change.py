"""Checks and changes the password of a user who is logged in."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, permissions
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys, issuance, sessions
from authentication.credentials.actor import NO_TARGETS, Actor, Targets
from authentication.credentials.issuance import TokenPair
from authentication.errors import WrongPassword
from authentication.mail import outbox
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
    actor: Actor,
    *,
    current: str,
    new: str,
    end_api_keys: bool = True,
    settings: AuthenticationSettings | None = None,
) -> TokenPair:
    """Change the actor's password, and revoke their other sessions and their API keys.

    Returns new tokens for the session of the actor, which replace all that it has: somebody else
    may hold a copy of them. They live as long as the service's settings say unless others are
    given. Raises InsufficientUserAuthentication if the user has a second factor that was not given
    a short while ago, WrongPassword, WeakPassword, TooManyAttempts, HashingBusy.
    """
    identity, origin = actor.identity, actor.origin
    words = strength.words_about(identity, identity.email)
    strength.reject_weak(new, settings=service.settings, words=words, field="new_password")
    verified_user = await confirm(service, actor, current)
    hashed = await service.hashing.run(lambda: service.hasher.hash(new), user_id=verified_user.id)

    def change(db: Session) -> TokenPair:
        targets = Targets(sessions=queries.sessions.select_of_user(verified_user.id))
        user = hold_unchanged(db, actor, verified_user, targets, fresh=True)
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
    event: Event = Event.PASSWORD_CHANGED,
    reason: Reason = Reason.PASSWORD_CHANGED,
) -> None:
    """Store a new hash, and end whatever somebody else may have obtained by the old one.

    That is every session but the one to keep, every API key unless they are to be kept, every known
    network but the one that the change comes from, and every link in a mail but those that take a
    change of the address back.
    """
    user.hashed_password = hashed
    db.flush()
    queries.throttle_counters.delete_of_user(db, user.id)
    known_networks.forget(db, user.id, keep=origin.network)
    audit.record(db, event, origin=origin, subject=audit.user(user.id))
    sessions.revoke_all(db, user.id, origin=origin, reason=reason, keep=keep)
    if end_api_keys:
        api_keys.revoke_all(db, user.id, origin=origin, reason=reason)
    outbox.void_all(db, user)


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
    # Together with the roles, which the lock has not loaded.
    user = queries.users.find(db, user.id) or user
    is_narrowed = identity.scopes != issuance.effective_scopes(user, granted, session=session)
    scopes = narrowed if is_narrowed else granted
    return issuance.renew(
        db, settings, replaced, session=session, user=user, granted=granted, scopes=scopes
    )


async def confirm(service: Service, actor: Actor, password: str) -> User:
    """The user, if this is their password, which makes the session fresh without a second factor.

    Raises WrongPassword, TooManyAttempts, HashingBusy.
    """
    user_id, origin = actor.identity.user_id, actor.origin
    async with service.throttle.admit_password_check(user_id, origin) as admission:
        user = admission.user
        check = _PasswordCheck(user, actor, admission)
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
    actor: Actor
    admission: Admission[User]

    def record(self, db: Session, *, is_right: bool) -> None:
        if is_right:
            hold_unchanged(db, self.actor, self.user)
            if self.actor.identity.session_id is not None:
                queries.sessions.confirm_by_password(db, self.actor.identity.session_id)
            self.admission.record_success(db)
        else:
            subject = audit.user(self.user.id)
            audit.record(db, Event.PASSWORD_REFUSED, origin=self.actor.origin, subject=subject)

    def record_abandoned(self, db: Session, result: tuple[bool, str | None]) -> None:
        """A right password changes nothing for a client that is gone, and is no failure either."""
        is_right, _ = result
        if is_right:
            self.admission.undo(db)
        else:
            self.record(db, is_right=False)


def hold_unchanged(
    db: Session,
    actor: Actor,
    verified_user: User,
    targets: Targets = NO_TARGETS,
    *,
    fresh: bool = False,
) -> User:
    """Hold the actor, whose password was checked a moment ago. Returns their user.

    With `fresh`, a user who has a second factor must have given it a short while ago as well.

    Raises WrongPassword if the password was changed while it was hashed.
    """
    user = actor.hold(db, targets, fresh=fresh).user
    if user.hashed_password != verified_user.hashed_password:
        raise WrongPassword
    return user
