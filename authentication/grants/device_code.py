"""Gives a device its tokens, once its user has allowed it (RFC 8628, 3.4 and 3.5)."""

from sqlalchemy.orm import Session

from authentication.audit import Event, Origin
from authentication.clients import devices
from authentication.clients import sessions as client_sessions
from authentication.clients.sessions import Approval
from authentication.credentials.issuance import TokenPair
from authentication.errors import (
    AccessDenied,
    AuthorizationPending,
    DeviceCodeExpired,
    InvalidGrant,
    SlowDown,
)
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import CounterfoilError
from counterfoil.tokens import TokenKind
from database import queries
from database.models import OAuthClient
from database.queries.device_codes import DeviceState


async def poll(
    service: Service, client: OAuthClient, device_code: str, *, origin: Origin
) -> TokenPair:
    """The tokens, for a client that is authenticated and has the grant.

    Raises AuthorizationPending, SlowDown, AccessDenied, DeviceCodeExpired, InvalidGrant,
    SessionLimitReached, TooManyAttempts.
    """
    limit = service.settings.client_failures_per_minute
    service.unknown_tokens.reject_flood("code", origin, limit=limit)
    state = await _find(service, device_code)
    if state is None or state.client_id != client.id:
        service.unknown_tokens.count_in("code", origin, limit=limit)
        raise InvalidGrant
    _reject_ended(state)
    outcome = await service.database.run(
        lambda db: _answer(db, service.settings, state, origin), is_untrusted=True
    )
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


async def _find(service: Service, device_code: str) -> DeviceState | None:
    if tokens.kind_of(device_code) is not TokenKind.DEVICE_CODE:
        return None
    digest = tokens.digest(device_code)
    return await service.database.run(
        lambda db: queries.device_codes.find(db, digest), read_only=True, is_untrusted=True
    )


def _reject_ended(state: DeviceState) -> None:
    if state.is_redeemed:
        raise InvalidGrant
    if state.is_expired:
        raise DeviceCodeExpired
    if state.is_denied:
        raise AccessDenied


def _answer(
    db: Session, settings: AuthenticationSettings, state: DeviceState, origin: Origin
) -> TokenPair | CounterfoilError:
    """Errors are returned, so that it is stored when the device has asked."""
    if state.is_approved:
        return _redeem(db, settings, state.id, origin)
    # Each step makes the interval longer, and none is longer than the code lives.
    is_in_time = queries.device_codes.poll(
        db, state.id, step=devices.INTERVAL_SECONDS, longest=devices.CODE_SECONDS
    )
    return AuthorizationPending() if is_in_time else SlowDown()


def _redeem(
    db: Session, settings: AuthenticationSettings, code_id: int, origin: Origin
) -> TokenPair | CounterfoilError:
    found = queries.device_codes.find_and_lock_user(db, code_id)
    if found is None:
        return InvalidGrant()
    code, user = found
    login = queries.device_codes.lock_approval(db, code)
    client = queries.oauth_clients.hold(db, code.client_id)
    if login is None or client is None or not queries.device_codes.redeem(db, code_id):
        return InvalidGrant()
    pair = client_sessions.begin(
        db,
        settings,
        Approval(user, client, code.scopes, login),
        event=Event.DEVICE_CODE_REDEEMED,
        origin=origin,
    )
    return InvalidGrant() if pair is None else pair
