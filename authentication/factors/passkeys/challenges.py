"""Challenges to be signed. Each is a row that is deleted by its use, so that it works once."""

import secrets
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from sqlalchemy.orm import Session

from authentication.factors.passkeys.messages import CHALLENGE_LENGTH
from authentication.factors.passkeys.options import CHALLENGE_SECONDS
from database import queries


class ChallengeKind(StrEnum):
    """What a challenge is for. None is accepted for anything else."""

    ADD = "passkey_add"
    LOGIN = "passkey_login"
    CONFIRM = "confirm"


def begin(
    db: Session,
    kind: ChallengeKind,
    *,
    user_id: int | None = None,
    session_id: UUID | None = None,
    epoch: int | None = None,
) -> bytes:
    """A new challenge. The ones of the same kind that a session has had before are void."""
    if session_id is not None:
        queries.challenges.void_of_session(db, session_id, kind=kind)
    challenge = secrets.token_bytes(CHALLENGE_LENGTH)
    queries.challenges.add(
        db,
        digest(challenge),
        kind=kind,
        seconds=CHALLENGE_SECONDS,
        user_id=user_id,
        session_id=session_id,
        epoch=epoch,
    )
    return challenge


def digest(challenge: bytes) -> bytes:
    """What is stored of a challenge: who can read the database cannot have it signed."""
    return sha256(challenge).digest()
