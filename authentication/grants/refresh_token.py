"""Exchanges a refresh token for a new pair, once; its return betrays a theft."""

from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.audit import Event, Origin
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.errors import CounterfoilError, InvalidRefreshToken, InvalidScope
from authentication.resolution import tokens
from authentication.resolution.tokens import TokenKind
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from database import clock
from database.models import AccessToken, LoginSession, RefreshToken
from database.queries import refresh_tokens, sessions
from database.queries import users as user_queries


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
            lambda session: _exchange(session, service.settings, exchange, origin)
        )
    if outcome is None:
        service.refusals.note(exchange.refresh_token, origin.ip)
        raise InvalidRefreshToken
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


def _exchange(
    session: Session, settings: AuthenticationSettings, exchange: Exchange, origin: Origin
) -> TokenPair | CounterfoilError | None:
    """None for a token that we never issued, or have forgotten."""
    digest = tokens.digest(exchange.refresh_token)
    found = refresh_tokens.find_and_keep_user(session, digest)
    if found is None:
        return None
    # Locked, so that of several exchanges at once each sees what the one before it did.
    login = sessions.lock_holding(session, found[0].session_id)
    found = refresh_tokens.lock(session, digest)
    if login is None or found is None:
        return _refuse(session, found[0] if found else None, origin, reason="session ended")
    token, _ = found
    if login.client_id is not None and login.client_id != exchange.client_id:
        return _refuse(session, token, origin, reason="another client")
    origin = origin.acting_as(audit.user(login.user_id))
    try:
        # To a savepoint, where there is need for one: the refusal is recorded, the use undone.
        with session.begin_nested() if exchange.scope else nullcontext():
            if not _use(session, settings, token):
                return _refuse_used(session, token, login, origin)
            return _issue(session, settings, exchange, found, login, origin)
    except InvalidScope as error:
        _refuse(session, token, origin, reason=error.code)
        return error


def _use(session: Session, settings: AuthenticationSettings, token: RefreshToken) -> bool:
    if token.first_used_at is None:
        return refresh_tokens.use(session, token.id)
    now = clock.read(session)
    return token.expires_at > now and policies.is_within_grace(settings, now, token.first_used_at)


def _issue(
    session: Session,
    settings: AuthenticationSettings,
    exchange: Exchange,
    found: tuple[RefreshToken, AccessToken],
    login: LoginSession,
    origin: Origin,
) -> TokenPair:
    token, _ = found
    user = user_queries.find(session, login.user_id)
    if user is None:
        raise InvalidRefreshToken
    available = issuance.effective_scopes(user, token.scopes)
    narrowed = permissions.narrow(exchange.scope, available)
    pair = issuance.issue(
        session,
        settings,
        login=login,
        user=user,
        granted=token.scopes,
        scopes=token.scopes if narrowed is None else narrowed,
        exchanged=found,
    )
    login.last_used_at = clock.read(session)
    audit.record(
        session,
        Event.TOKEN_REFRESHED,
        origin=origin,
        subject=audit.user(user.id),
        session=str(login.id),
    )
    return pair


def _refuse_used(
    session: Session, token: RefreshToken, login: LoginSession, origin: Origin
) -> InvalidRefreshToken:
    if token.first_used_at is None:
        return _refuse(session, token, origin, reason="expired")
    sessions.revoke(session, login.id, reason="refresh_token_reuse")
    audit.record(
        session,
        Event.REFRESH_REUSED,
        origin=origin,
        subject=audit.user(login.user_id),
        session=str(login.id),
    )
    return InvalidRefreshToken()


def _refuse(
    session: Session, token: RefreshToken | None, origin: Origin, *, reason: str
) -> InvalidRefreshToken:
    user_id = sessions.find_user_id(session, token.session_id) if token else None
    audit.record(
        session,
        Event.REFRESH_FAILED,
        origin=origin,
        subject=audit.user(user_id) if user_id else None,
        session=str(token.session_id) if token else None,
        reason=reason,
    )
    return InvalidRefreshToken()
