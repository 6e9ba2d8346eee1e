"""Exchanges a refresh token for a new pair, once; its return betrays a theft."""

from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.audit import Event, Origin, Reason
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.errors import InvalidRefreshToken, InvalidScope
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import AccessToken, LoginSession, RefreshToken


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a client sends to refresh. `scope` may narrow the new access token."""

    refresh_token: str
    scope: str | None = None
    client_id: str | None = None


async def refresh(service: Service, exchange: Exchange, *, origin: Origin) -> TokenPair:
    """Use the token up and issue a new pair in its session.

    Raises InvalidRefreshToken, also for a token that was used before: the whole session then ends,
    because either this caller or the earlier one is a thief. Raises InvalidScope, and then nothing
    is used up.
    """
    outcome = None
    if tokens.kind_of(exchange.refresh_token) is TokenKind.REFRESH:
        outcome = await service.database.run(
            lambda db: _exchange(db, service.settings, exchange, origin)
        )
    if outcome is None:
        service.refusals.note(exchange.refresh_token, origin.ip)
        raise InvalidRefreshToken
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


def _exchange(
    db: Session, settings: AuthenticationSettings, exchange: Exchange, origin: Origin
) -> TokenPair | CounterfoilError | None:
    """None for a token that we never issued, or have forgotten."""
    digest = tokens.digest(exchange.refresh_token)
    found = queries.refresh_tokens.find_and_lock_user(db, digest)
    if found is None:
        return None
    # Locked, so that of several exchanges at once each sees what the one before it did.
    session = queries.sessions.lock_valid(db, found[0].session_id)
    found = queries.refresh_tokens.lock(db, digest)
    if session is None or found is None:
        return _refuse(db, found[0] if found else None, origin, reason=Reason.SESSION_ENDED)
    token, _ = found
    if session.kind != SessionKind.API:
        return _refuse(db, token, origin, reason=Reason.ANOTHER_KIND)
    if session.client_id is not None and session.client_id != exchange.client_id:
        return _refuse(db, token, origin, reason=Reason.ANOTHER_CLIENT)
    origin = origin.acting_as(audit.user(session.user_id))
    try:
        # To a savepoint, where there is need for one: the refusal is recorded, the use undone.
        with db.begin_nested() if exchange.scope else nullcontext():
            if not _use(db, settings, token):
                return _refuse_used(db, token, session, origin)
            return _issue(db, settings, exchange, found, session, origin)
    except InvalidScope as error:
        _refuse(db, token, origin, reason=Reason.INVALID_SCOPE)
        return error


def _use(db: Session, settings: AuthenticationSettings, token: RefreshToken) -> bool:
    if token.first_used_at is None:
        return queries.refresh_tokens.use(db, token.id)
    now = clock.read(db)
    return token.expires_at > now and policies.is_within_grace(settings, now, token.first_used_at)


def _issue(
    db: Session,
    settings: AuthenticationSettings,
    exchange: Exchange,
    found: tuple[RefreshToken, AccessToken],
    session: LoginSession,
    origin: Origin,
) -> TokenPair:
    token, _ = found
    user = queries.users.find(db, session.user_id)
    if user is None:
        raise InvalidRefreshToken
    available = issuance.effective_scopes(user, token.scopes)
    narrowed = permissions.narrow(exchange.scope, available)
    pair = issuance.issue(
        db,
        settings,
        session=session,
        user=user,
        granted=token.scopes,
        scopes=token.scopes if narrowed is None else narrowed,
        exchanged=found,
    )
    session.last_used_at = clock.read(db)
    audit.record(
        db,
        Event.TOKEN_REFRESHED,
        origin=origin,
        subject=audit.user(user.id),
        session=str(session.id),
    )
    return pair


def _refuse_used(
    db: Session, token: RefreshToken, session: LoginSession, origin: Origin
) -> InvalidRefreshToken:
    if token.first_used_at is None:
        return _refuse(db, token, origin, reason=Reason.EXPIRED)
    queries.sessions.revoke(db, session.id, reason=Reason.REFRESH_TOKEN_REUSE)
    audit.record(
        db,
        Event.REFRESH_REUSED,
        origin=origin,
        subject=audit.user(session.user_id),
        session=str(session.id),
    )
    return InvalidRefreshToken()


def _refuse(
    db: Session, token: RefreshToken | None, origin: Origin, *, reason: Reason
) -> InvalidRefreshToken:
    user_id = queries.sessions.find_user_id(db, token.session_id) if token else None
    audit.record(
        db,
        Event.REFRESH_FAILED,
        origin=origin,
        subject=audit.user(user_id) if user_id else None,
        session=str(token.session_id) if token else None,
        reason=reason,
    )
    return InvalidRefreshToken()
