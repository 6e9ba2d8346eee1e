"""Checks a signature by a passkey: once without holding anything, then where its use is stored.

`examine` finds the challenge and the passkey and verifies the signature; what is unknown costs no
transaction that writes. `accept` is called in the transaction of what the signature is for, such as
a login. It uses the challenge up, and compares and stores the counter, each by one statement.
"""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.errors import InvalidPasskey
from authentication.factors.passkeys import challenges
from authentication.factors.passkeys.challenges import ChallengeKind
from authentication.factors.passkeys.messages import (
    Assertion,
    InvalidResponse,
    KnownCredential,
    Signed,
)
from authentication.service import Service
from database import queries
from database.models import Passkey, User
from database.queries.passkeys import Owned


@dataclass(frozen=True, slots=True)
class Asked:
    """For whom a challenge was made: anybody; or a user, perhaps in a session of theirs."""

    kind: ChallengeKind
    user_id: int | None = None
    session_id: UUID | None = None

    @classmethod
    def of(cls, user_id: int, session_id: UUID | None) -> Self:
        """For a user, to confirm a session of theirs; or, without one, to complete a login."""
        kind = ChallengeKind.LOGIN if session_id is None else ChallengeKind.CONFIRM
        return cls(kind, user_id, session_id)


@dataclass(frozen=True, slots=True)
class Examined:
    """A signature for a challenge that existed. `signed` is None if it is not valid."""

    asked: Asked
    challenge_digest: bytes
    owned: Owned | None
    signed: Signed | None
    why: str | None = None
    """What is wrong with the signature, for the audit log."""

    @property
    def user(self) -> User | None:
        """Who has signed. None if the signature is not valid."""
        return self.owned.user if self.owned is not None and self.signed is not None else None

    def accept(self, db: Session, origin: Origin) -> Reason | None:
        """Use the signature up. Returns why it is rejected, or None.

        The owner must be locked, so that the rows of their passkeys are locked after them.
        """
        is_taken = queries.challenges.take(
            db,
            self.challenge_digest,
            kind=self.asked.kind,
            user_id=self.asked.user_id,
            session_id=self.asked.session_id,
        )
        if is_taken is None:
            return Reason.CHALLENGE_USED
        if self.owned is None:
            return Reason.UNKNOWN_PASSKEY
        if self.signed is None:
            return Reason.INVALID_PASSKEY
        return self._store(db, self.owned.passkey, self.signed, origin)

    def _store(
        self, db: Session, passkey: Passkey, signed: Signed, origin: Origin
    ) -> Reason | None:
        is_next = queries.passkeys.advance(
            db, passkey.id, sign_count=signed.sign_count, backed_up=signed.backed_up
        )
        if is_next:
            return None
        queries.passkeys.suspect_clone(db, passkey.id)
        audit.record(
            db,
            Event.PASSKEY_CLONED,
            origin=origin,
            subject=audit.user(passkey.user_id),
            passkey=str(passkey.id),
            name=passkey.name,
        )
        return Reason.CLONED_PASSKEY


async def examine(
    service: Service, assertion: Assertion, asked: Asked, *, origin: Origin
) -> Examined:
    """Verify a signature. Raises InvalidPasskey if its challenge is unknown, used or expired.

    Raises TooManyAttempts for too many of those from one network.
    """
    limit = service.settings.refresh_misses_per_minute
    service.unknown_tokens.reject_flood("passkey", origin, limit=limit)
    examined = await service.database.run(
        lambda db: _examine(db, service, assertion, asked), read_only=True, is_untrusted=True
    )
    if examined is None:
        service.unknown_tokens.count_in("passkey", origin, limit=limit)
        raise InvalidPasskey
    return examined


def use(
    db: Session, service: Service, assertion: Assertion, asked: Asked, *, origin: Origin
) -> Reason | None:
    """Verify a signature of a user, who must be locked, and use it up. Returns why not, or None."""
    examined = _examine(db, service, assertion, asked)
    return Reason.CHALLENGE_USED if examined is None else examined.accept(db, origin)


def _examine(db: Session, service: Service, assertion: Assertion, asked: Asked) -> Examined | None:
    """None if the challenge is unknown, used or expired."""
    # Imported only where a passkey is used: without passkeys and keys, a worker has 8 MB less.
    from authentication.factors.passkeys import verification

    try:
        challenge = verification.read_challenge(assertion.client_data)
    except InvalidResponse:
        return None
    digest = challenges.digest(challenge)
    if not queries.challenges.is_usable(
        db, digest, kind=asked.kind, user_id=asked.user_id, session_id=asked.session_id
    ):
        return None
    owned = queries.passkeys.find_owned(db, assertion.credential_id)
    if owned is None or asked.user_id not in {None, owned.user.id}:
        return Examined(asked, digest, None, None)
    try:
        signed = _verify(service, assertion, owned, challenge, asked)
    except InvalidResponse as error:
        return Examined(asked, digest, owned, None, why=str(error))
    return Examined(asked, digest, owned, signed)


def _verify(
    service: Service, assertion: Assertion, owned: Owned, challenge: bytes, asked: Asked
) -> Signed:
    from authentication.factors.passkeys import verification

    passkey, user = owned
    known = KnownCredential(
        passkey.public_key, passkey.backup_eligible, user.webauthn_handle or b""
    )
    return verification.verify_assertion(
        service.relying_party,
        assertion,
        known,
        challenge=challenge,
        needs_user_handle=asked.user_id is None,
    )
