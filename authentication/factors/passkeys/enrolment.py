"""Adds, lists, renames and removes the passkeys of a user."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, labels
from authentication.audit import Event
from authentication.credentials.actor import Actor, Held
from authentication.errors import (
    CredentialKnown,
    InvalidPasskeyRegistration,
    NotFound,
    PasskeyLimitReached,
)
from authentication.factors import changes, confirmation, methods, recovery_codes
from authentication.factors.passkeys import challenges, options
from authentication.factors.passkeys.challenges import ChallengeKind
from authentication.factors.passkeys.messages import (
    InvalidResponse,
    NewCredential,
    Registration,
)
from authentication.factors.passkeys.options import Options
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from database import limits, queries
from database.models import Passkey

KIND = "passkey"
_HANDLE_LENGTH = 32
_NOT_THEIRS = "There is no such passkey, or it is not yours."


def begin(db: Session, service: Service, actor: Actor) -> Options:
    """What the user's browser needs to make a passkey. The session must be fresh.

    Raises PasskeyLimitReached.
    """
    held = actor.hold(db, fresh=True)
    _check_limit(db, service.settings, held.user.id)
    handle = queries.users.give_webauthn_handle(
        db, held.user.id, secrets.token_bytes(_HANDLE_LENGTH)
    )
    challenge = challenges.begin(
        db, ChallengeKind.ADD, user_id=held.user.id, session_id=held.identity.session_id
    )
    known = queries.passkeys.list_of_user(db, held.user.id)
    return options.for_registration(service.relying_party, held.user, handle, known, challenge)


class Added(NamedTuple):
    """A new passkey, and recovery codes for a user who had none. The codes are shown this once."""

    passkey: Passkey
    recovery_codes: Sequence[str]


async def add(service: Service, actor: Actor, *, name: str, registration: Registration) -> Added:
    """Add a passkey that the user's browser has made. The session must be fresh.

    Logins by a password ask for it from now on. Revokes the user's other sessions.
    Raises InvalidPasskeyRegistration, CredentialKnown, PasskeyLimitReached, InvalidField.
    """
    # Imported only where a passkey is used: without passkeys and keys, a worker has 8 MB less.
    from authentication.factors.passkeys import verification

    name = labels.clean("name", name, least=1)
    try:
        challenge = verification.read_challenge(registration.client_data)
        created = verification.verify_registration(
            service.relying_party, registration, challenge=challenge
        )
    except InvalidResponse as error:
        raise InvalidPasskeyRegistration from error

    def store(db: Session) -> Added:
        held = actor.hold(db, changes.targets(actor), fresh=True)
        _take(db, held, challenge)
        _check_limit(db, service.settings, held.user.id)
        passkey = _store(db, held.user.id, name, registration, created)
        confirmation.store(db, actor, methods.PASSKEY)
        changes.record_added(db, service.settings, actor, kind=KIND, name=name)
        return Added(passkey, recovery_codes.create_if_none(db, held.user.id))

    return await service.database.run(store)


def list_own(db: Session, user_id: int) -> Sequence[Passkey]:
    """The passkeys of a user, oldest first."""
    return queries.passkeys.list_of_user(db, user_id)


def rename(db: Session, actor: Actor, passkey_id: UUID, name: str) -> Passkey:
    """Rename one of the actor's passkeys. Raises NotFound, InvalidField."""
    name = labels.clean("name", name, least=1)
    user = actor.hold(db).user
    passkey = queries.passkeys.rename(db, passkey_id, user_id=user.id, name=name)
    if passkey is None:
        raise NotFound(_NOT_THEIRS)
    audit.record(
        db,
        Event.PASSKEY_RENAMED,
        origin=actor.origin,
        subject=audit.user(user.id),
        passkey=str(passkey.id),
        name=name,
    )
    return passkey


def remove(db: Session, settings: AuthenticationSettings, actor: Actor, passkey_id: UUID) -> None:
    """Remove one of the actor's passkeys. The session must be fresh.

    Raises NotFound, LastFactor.
    """
    user = actor.hold(db, changes.targets(actor), fresh=True).user
    passkey = queries.passkeys.find_of_user(db, passkey_id, user_id=user.id)
    if passkey is None:
        raise NotFound(_NOT_THEIRS)
    changes.reject_last(db, user.id)
    name = passkey.name
    queries.passkeys.delete_one(db, passkey_id)
    changes.record_removed(db, settings, actor, kind=KIND, name=name)


def _check_limit(db: Session, settings: AuthenticationSettings, user_id: int) -> None:
    if queries.passkeys.count_of_user(db, user_id) >= settings.max_passkeys_per_user:
        raise PasskeyLimitReached


def _take(db: Session, held: Held, challenge: bytes) -> None:
    taken = queries.challenges.take(
        db,
        challenges.digest(challenge),
        kind=ChallengeKind.ADD,
        user_id=held.user.id,
        session_id=held.identity.session_id,
    )
    if taken is None:
        raise InvalidPasskeyRegistration


def _store(
    db: Session, user_id: int, name: str, registration: Registration, created: NewCredential
) -> Passkey:
    transports = " ".join(registration.transports)[: limits.MAX_LABEL_LENGTH]
    passkey = queries.passkeys.add(
        db,
        user_id=user_id,
        credential_id=created.credential_id,
        public_key=created.public_key,
        sign_count=created.sign_count,
        backup_eligible=created.backup_eligible,
        backed_up=created.backed_up,
        aaguid=created.aaguid,
        transports=transports or None,
        name=name,
    )
    if passkey is None:
        raise CredentialKnown
    return passkey
