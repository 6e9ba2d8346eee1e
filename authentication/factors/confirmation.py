"""Makes a session fresh: the user proves once more who they are, by the strongest factor they have.

Sensitive actions need a fresh session, so that a stolen token is not enough for them.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import password_change
from authentication.audit import Event
from authentication.credentials.actor import Actor
from authentication.errors import SecondFactorRequired, TooManyAttempts, WrongCode
from authentication.factors import methods, proofs
from authentication.factors.methods import Method
from authentication.factors.passkeys import challenges, options
from authentication.factors.passkeys.challenges import ChallengeKind
from authentication.factors.passkeys.options import Options
from authentication.factors.proofs import Proof
from authentication.service import Service
from authentication.throttling import attempts, counting
from counterfoil.errors import CounterfoilError
from database import queries


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the user gives: the password, or a second factor."""

    password: str | None = None
    proof: Proof | None = None


async def confirm(service: Service, actor: Actor, given: Confirmation) -> None:
    """Make the actor's session fresh.

    The password suffices only for users without a second factor. Raises SecondFactorRequired,
    WrongPassword, WrongCode, TotpUnavailable, TooManyAttempts, HashingBusy.
    """
    if given.proof is not None:
        await _confirm_by_factor(service, actor, given.proof)
        return
    if available := await methods_of(service, actor):
        raise SecondFactorRequired(available)
    await password_change.confirm(service, actor, given.password or "")


async def methods_of(service: Service, actor: Actor) -> list[Method]:
    """What the actor can confirm their session by in place of a password. Empty: the password."""
    counts = await service.database.run(
        lambda db: queries.factors.count(db, actor.identity.user_id), read_only=True
    )
    return methods.of(counts)


async def begin_passkey(service: Service, actor: Actor) -> Options:
    """What a browser needs so that the actor can confirm their session by a passkey."""

    def begin(db: Session) -> Options:
        user = actor.hold(db).user
        challenge = challenges.begin(
            db, ChallengeKind.CONFIRM, user_id=user.id, session_id=actor.session_id
        )
        known = queries.passkeys.list_of_user(db, user.id)
        return options.for_login(service.relying_party, known, challenge)

    return await service.database.run(begin)


async def _confirm_by_factor(service: Service, actor: Actor, proof: Proof) -> None:
    def run(db: Session) -> CounterfoilError | None:
        user = actor.hold(db).user
        counted = attempts.describe_factor_check(service.settings, user.id)
        exceeded = counting.count(db, counted, origin=actor.origin)
        if exceeded:
            return TooManyAttempts(counting.longest_retry_after(exceeded))
        words = proofs.verify(
            db, service, user, proof, origin=actor.origin, session_id=actor.session_id
        )
        if words is None:
            return reject(db, actor)
        counting.record_success(db, counted)
        store(db, actor, words)
        return None

    outcome = await service.database.run(run)
    if outcome is not None:
        raise outcome


def reject(db: Session, actor: Actor) -> WrongCode:
    """Record that an actor has given a wrong code."""
    subject = audit.user(actor.identity.user_id)
    audit.record(db, Event.FACTOR_REFUSED, origin=actor.origin, subject=subject)
    return WrongCode()


def store(db: Session, actor: Actor, words: proofs.Words) -> None:
    """Note that the actor, who is held, has just given this in their session."""
    amr = methods.add(queries.sessions.find_amr(db, actor.session_id), words)
    queries.sessions.confirm_by_factor(db, actor.session_id, amr=amr)
