"""Adds and removes authenticator apps, and makes recovery codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, labels
from authentication.audit import Event
from authentication.credentials.actor import Actor
from authentication.errors import NotFound, TooManyAttempts, TotpLimitReached
from authentication.factors import (
    changes,
    confirmation,
    methods,
    proofs,
    recovery_codes,
    totp,
    totp_secrets,
)
from authentication.service import Service
from authentication.throttling import attempts, counting
from counterfoil.errors import CounterfoilError
from database import queries
from database.ids import uuid7
from database.models import User

KIND = "totp"
_MOST_PER_USER = 5
_OFF = "There are no authenticator apps here: COUNTERFOIL_SECRET_KEYS is not set."


@dataclass(frozen=True, slots=True)
class NewApp:
    """What an app needs, shown this once. `secret` is for those who cannot scan the QR code."""

    id: UUID
    secret: str
    uri: str
    svg: str


def begin(db: Session, service: Service, actor: Actor, *, name: str) -> NewApp:
    """Make a secret for an app. No login asks for it until a first code has confirmed it.

    The session must be fresh. Raises NotFound where there are none, TotpLimitReached, InvalidField.
    """
    name = labels.clean("name", name, least=1)
    if not service.sealer.is_on:
        raise NotFound(_OFF)
    user = actor.hold(db, fresh=True).user
    if queries.factors.count(db, user.id).totp >= _MOST_PER_USER:
        raise TotpLimitReached
    secret, factor_id = totp.create_secret(), uuid7()
    sealed = totp_secrets.seal(service.sealer, secret, user_id=user.id, factor_id=factor_id)
    queries.totp_factors.begin(db, user.id, id=factor_id, name=name, secret_sealed=sealed)
    uri = totp.uri(secret, account=user.email, issuer=service.application_name)
    return NewApp(factor_id, totp.encode(secret), uri, totp.svg(uri))


async def confirm(
    service: Service, actor: Actor, code: str, *, name: str | None = None
) -> Sequence[str]:
    """Confirm the app by a first code, which is used up. Logins ask for one from now on.

    A `name` replaces the one that it was given at first. Returns ten recovery codes, or none if the
    user has some from before. Revokes the user's other sessions. Raises WrongCode, NotFound,
    TooManyAttempts, TotpUnavailable, InvalidField.
    """
    if name is not None:
        name = labels.clean("name", name, least=1)

    def run(db: Session) -> Sequence[str] | CounterfoilError:
        user = actor.hold(db, changes.targets(actor)).user
        counted = attempts.describe_factor_check(service.settings, user.id)
        exceeded = counting.count(db, counted, origin=actor.origin)
        if exceeded:
            return TooManyAttempts(counting.longest_retry_after(exceeded))
        factor = queries.totp_factors.find_unconfirmed(db, user.id)
        if factor is None:
            raise NotFound("There is no authenticator app that waits for its first code.")
        if not proofs.use_code(db, service.sealer, factor, code, confirms=True):
            return confirmation.reject(db, actor)
        counting.record_success(db, counted)
        factor.name = name or factor.name
        confirmation.store(db, actor, [methods.ONE_TIME_CODE])
        changes.record_added(db, service.settings, actor, kind=KIND, name=factor.name)
        return recovery_codes.create_if_none(db, user.id)

    outcome = await service.database.run(run)
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


def remove(db: Session, service: Service, actor: Actor, factor_id: UUID) -> None:
    """Remove one of the actor's apps, confirmed or not. The session must be fresh.

    Raises NotFound, LastFactor.
    """
    user = actor.hold(db, changes.targets(actor), fresh=True).user
    factor = queries.totp_factors.find_of_user(db, factor_id, user_id=user.id)
    if factor is None:
        raise NotFound("There is no such authenticator app.")
    was_confirmed, name = factor.confirmed_at is not None, factor.name
    if was_confirmed:
        changes.reject_last(db, user.id)
    queries.totp_factors.delete_one(db, factor_id)
    if was_confirmed:
        changes.record_removed(db, service.settings, actor, kind=KIND, name=name)


def replace_recovery_codes(db: Session, actor: Actor) -> Sequence[str]:
    """Ten new recovery codes; the old ones are void. The session must be fresh.

    Raises NotFound for a user without a second factor, who needs none.
    """
    user = actor.hold(db, fresh=True).user
    _reject_without_factor(db, user)
    codes = recovery_codes.replace_all(db, user.id)
    subject = audit.user(user.id)
    audit.record(db, Event.RECOVERY_CODES_REPLACED, origin=actor.origin, subject=subject)
    return codes


def _reject_without_factor(db: Session, user: User) -> None:
    if not queries.factors.count(db, user.id).total:
        raise NotFound("You have no second factor. Add one first.")
