"""Logins whose password was right, and which wait for the second factor, without a session."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from sqlalchemy.orm import Session

from authentication.errors import SecondFactorRequired
from authentication.factors.methods import Method
from counterfoil import tokens
from counterfoil.identity import SessionKind
from counterfoil.tokens import TokenKind
from database import queries
from database.models import Challenge, User

KIND = "mfa"
SECONDS = 300
ATTEMPTS = 5
"""Wrong codes for one login."""


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """What the client, which may be registered, asked for, until the session begins."""

    scope: str | None = None
    client_id: str | None = None
    session_kind: str = SessionKind.API
    oauth_client_id: str | None = None

    @classmethod
    def of(cls, challenge: Challenge) -> Self:
        """What was stored by `ask`."""
        return cls(**challenge.data)


def ask(
    db: Session, user: User, login: PendingLogin, methods: Sequence[Method]
) -> SecondFactorRequired:
    """Let a login of a user, who must be locked, wait. Returns what the client is told."""
    new = tokens.create(TokenKind.TRANSACTION)
    queries.challenges.add(
        db,
        new.digest,
        kind=KIND,
        seconds=SECONDS,
        user_id=user.id,
        epoch=user.session_epoch,
        data=asdict(login),
    )
    return SecondFactorRequired(methods, mfa_token=new.text, expires_in=SECONDS)


def digest(mfa_token: str) -> bytes | None:
    """What is stored of a token. None for text that was never issued as one."""
    text = tokens.strip(mfa_token)
    return tokens.digest(text) if tokens.kind_of(text) is TokenKind.TRANSACTION else None


def count_attempt(db: Session, stored: bytes, user: User) -> Challenge | None:
    """The login that waits for a user, who must be locked, if it may be tried once more.

    None once all sessions of the user were revoked, or the user was disabled.
    """
    found = queries.challenges.count_attempt(db, stored, kind=KIND, user_id=user.id, most=ATTEMPTS)
    if found is None or not user.is_active or found.epoch != user.session_epoch:
        return None
    return found
