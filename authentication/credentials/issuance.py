"""Issues a pair of tokens: an access token, and the refresh token that will replace it."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import permissions, policies
from authentication.permissions import Scopes
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.permissions import split_scopes, usable
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import AccessToken, LoginSession, RefreshToken, User


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What the client receives, once."""

    access_token: str
    refresh_token: str | None
    expires_in: int
    """Seconds until the access token expires."""
    scope: str
    session_id: UUID
    user_id: int


class _Access(NamedTuple):
    """An access token to be stored, and its text."""

    text: str
    fields: dict[str, Any]


def begin(
    db: Session,
    settings: AuthenticationSettings,
    *,
    session: LoginSession,
    user: User,
    scopes: str | None,
    is_refreshable: bool = True,
) -> tuple[TokenPair, int]:
    """Issue the first pair of a session, or an access token alone if it is not refreshable.

    Also returns how many other live sessions the user has.
    """
    access = _access_token(db, settings, session, scopes)
    stored, others = queries.access_tokens.add_first(db, session, access.fields)
    refresh = None
    if is_refreshable:
        refresh = _add_refresh_token(db, settings, session, stored, scopes)
    return _pair(db, access.text, refresh, stored, session, user), others


def exchange(
    db: Session,
    settings: AuthenticationSettings,
    pair: tuple[RefreshToken, AccessToken],
    *,
    session: LoginSession,
    user: User,
    scopes: str | None,
) -> TokenPair:
    """Issue a new pair in the place of this one, whose refresh token is marked as used.

    `scopes`, of the access token, may be less than what the refresh token was granted.
    """
    used, stored = pair
    access = _access_token(db, settings, session, scopes)
    used.access_token_id = queries.access_tokens.replace(db, stored, access.fields).id
    # Within the grace it is used again, which must not prolong the grace.
    used.first_used_at = used.first_used_at or clock.read(db)
    refresh = _add_refresh_token(db, settings, session, stored, used.scopes, parent_id=used.id)
    return _pair(db, access.text, refresh, stored, session, user)


def renew(
    db: Session,
    settings: AuthenticationSettings,
    replaced: AccessToken,
    *,
    session: LoginSession,
    user: User,
    granted: str | None,
    scopes: str | None,
) -> TokenPair:
    """Replace the access token and the refresh tokens of a session by a new pair.

    `granted` is for the refresh token; `scopes`, of the access token, may be less.
    """
    access = _access_token(db, settings, session, scopes)
    for field, value in access.fields.items():
        setattr(replaced, field, value)
    db.flush()
    refresh = _add_refresh_token(db, settings, session, replaced, granted)
    return _pair(db, access.text, refresh, replaced, session, user)


def effective_scopes(user: User, scopes: str | None, *, session: LoginSession) -> Scopes:
    """The scopes that a token with these scopes has now. The user must be loaded with roles."""
    has_second_factor = session.second_factor_at is not None
    return scopes_of(user, scopes, has_second_factor=has_second_factor)


def scopes_of(user: User, scopes: str | None, *, has_second_factor: bool) -> Scopes:
    """The same, with what roles give only to those who have given a second factor, or without."""
    roles = {
        role.name: split_scopes(role.scopes)
        for role in user.roles
        if has_second_factor or not role.requires_second_factor
    }
    return usable(scopes, roles).scopes


def _access_token(
    db: Session, settings: AuthenticationSettings, session: LoginSession, scopes: str | None
) -> _Access:
    now, new = clock.read(db), tokens.create(TokenKind.ACCESS)
    fields = {
        "token_digest": new.digest,
        "scopes": scopes,
        "created_at": now,
        "expires_at": policies.access_token_end(settings, now, session.expires_at),
    }
    return _Access(new.text, fields)


def _add_refresh_token(
    db: Session,
    settings: AuthenticationSettings,
    session: LoginSession,
    access_token: AccessToken,
    granted: str | None,
    *,
    parent_id: int | None = None,
) -> str:
    """Returns its text."""
    now, new = clock.read(db), tokens.create(TokenKind.REFRESH)
    db.add(
        RefreshToken(
            access_token_id=access_token.id,
            session_id=session.id,
            parent_id=parent_id,
            token_digest=new.digest,
            scopes=granted,
            created_at=now,
            expires_at=policies.refresh_token_end(settings, now, session.expires_at),
        )
    )
    db.flush()
    return new.text


def _pair(
    db: Session,
    access: str,
    refresh: str | None,
    stored: AccessToken,
    session: LoginSession,
    user: User,
) -> TokenPair:
    return TokenPair(
        access_token=access,
        refresh_token=refresh,
        # Rounded down, but 0 would say that it has expired.
        expires_in=max(1, int((stored.expires_at - clock.read(db)).total_seconds())),
        scope=permissions.join(effective_scopes(user, stored.scopes, session=session)),
        session_id=session.id,
        user_id=user.id,
    )
