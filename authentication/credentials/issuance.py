"""Issues a pair of tokens: an access token, and the refresh token that will replace it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import permissions, policies
from authentication.permissions import Scopes
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.permissions import usable
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import AccessToken, LoginSession, RefreshToken, User


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What the client receives, once."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds until the access token expires."""
    scope: str
    session_id: UUID
    user_id: int


def issue(
    db: Session,
    settings: AuthenticationSettings,
    *,
    session: LoginSession,
    user: User,
    granted: str | None,
    scopes: str | None,
    exchanged: tuple[RefreshToken, AccessToken] | None = None,
    replaced: AccessToken | None = None,
) -> TokenPair:
    """Issue a new pair in the session. `granted` is for the refresh token; `scopes` may be less.

    It replaces the pair that was exchanged for it, if any, and marks its refresh token as used. It
    is written over an access token that is `replaced`, of which nothing remains.
    """
    now = clock.read(db)
    access, refresh = tokens.create(TokenKind.ACCESS), tokens.create(TokenKind.REFRESH)
    fields = {
        "token_digest": access.digest,
        "scopes": scopes,
        "created_at": now,
        "expires_at": policies.access_token_end(settings, now, session.expires_at),
    }
    if exchanged is None:
        stored = replaced or AccessToken(session_id=session.id, user_id=user.id)
        for field, value in fields.items():
            setattr(stored, field, value)
        db.add(stored)
        db.flush()
    else:
        used, stored = exchanged
        used.access_token_id = queries.access_tokens.replace(db, stored, fields).id
        # Within the grace it is used again, which must not prolong the grace.
        used.first_used_at = used.first_used_at or now
    db.add(_refresh_token(settings, stored, refresh.digest, session, granted, now))
    db.flush()
    return TokenPair(
        access_token=access.text,
        refresh_token=refresh.text,
        # Rounded down, but 0 would say that it has expired.
        expires_in=max(1, int((stored.expires_at - now).total_seconds())),
        scope=permissions.join(effective_scopes(user, scopes)),
        session_id=session.id,
        user_id=user.id,
    )


def effective_scopes(user: User, scopes: str | None) -> Scopes:
    """The scopes that a token with these scopes has now. The user must be loaded with roles."""
    roles = {role.name: frozenset(role.scopes.split()) for role in user.roles}
    return usable(scopes, roles).scopes


def _refresh_token(
    settings: AuthenticationSettings,
    access_token: AccessToken,
    digest: bytes,
    session: LoginSession,
    granted: str | None,
    now: datetime,
) -> RefreshToken:
    return RefreshToken(
        access_token_id=access_token.id,
        session_id=session.id,
        token_digest=digest,
        scopes=granted,
        created_at=now,
        expires_at=policies.refresh_token_end(settings, now, session.expires_at),
    )
