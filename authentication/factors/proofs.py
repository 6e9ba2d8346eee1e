"""Verifies a second factor that a user gives, at a login or in a session, and uses it up.

Each kind is one branch of `verify`. It is called in the transaction of what the proof is for, with
the user locked, and after the attempt has been counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.errors import TotpUnavailable
from authentication.factors import methods, recovery_codes, totp, totp_secrets
from authentication.factors.passkeys import signing
from authentication.factors.passkeys.messages import Assertion
from authentication.factors.passkeys.signing import Asked
from authentication.factors.sealing import CannotOpen, Sealer
from authentication.service import Service
from database import clock, queries
from database.models import TotpFactor, User


@dataclass(frozen=True, slots=True)
class Proof:
    """What a user gives, one of these: see `methods.Method`."""

    code: str | None = None
    recovery_code: str | None = None
    passkey: Assertion | None = None


Words = Sequence[str]
"""What was given, in the words of RFC 8176."""


def verify(
    db: Session,
    service: Service,
    user: User,
    proof: Proof,
    *,
    origin: Origin,
    session_id: UUID | None = None,
) -> Words | None:
    """What was given, if it is right. `session_id` is where; none at a login.

    Raises TotpUnavailable.
    """
    if proof.code is not None:
        return _use_code(db, service.sealer, user, proof.code)
    if proof.recovery_code is not None:
        return _use_recovery_code(db, user, proof.recovery_code, origin)
    if proof.passkey is not None:
        asked = Asked.of(user.id, session_id)
        rejected = signing.use(db, service, proof.passkey, asked, origin=origin)
        return None if rejected else methods.PASSKEY
    return None


def _use_code(db: Session, sealer: Sealer, user: User, sent: str) -> Words | None:
    factors = queries.totp_factors.list_confirmed(db, user.id)
    if any(use_code(db, sealer, factor, sent) for factor in factors):
        return [methods.ONE_TIME_CODE]
    return None


def use_code(
    db: Session, sealer: Sealer, factor: TotpFactor, sent: str, *, confirms: bool = False
) -> bool:
    """Whether this is a code of this app that has not been used. Raises TotpUnavailable."""
    code = totp.clean(sent)
    if code is None:
        return False
    try:
        secret = totp_secrets.open_secret(sealer, factor)
    except CannotOpen:
        raise TotpUnavailable from None
    step = totp.find_step(secret, code, clock.read(db))
    if step is None:
        return False
    return queries.totp_factors.use_step(db, factor.id, step, confirms=confirms)


def _use_recovery_code(db: Session, user: User, sent: str, origin: Origin) -> Words | None:
    counts = queries.factors.count(db, user.id)
    if not counts.total or not recovery_codes.use(db, user.id, sent):
        return None
    subject = audit.user(user.id)
    left = counts.recovery_codes - 1
    audit.record(db, Event.RECOVERY_CODE_USED, origin=origin, subject=subject, left=left)
    return [methods.ONE_TIME_CODE]
