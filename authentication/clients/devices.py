"""Authorizes devices on which nobody can sign in: the user does so on another one (RFC 8628)."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.clients import client_authentication, consents, user_codes
from authentication.clients.client_authentication import ClientCredentials
from authentication.clients.grants import Grant
from authentication.credentials.actor import Actor
from authentication.errors import InvalidClient, InvalidScope, InvalidUserCode, TooManyAttempts
from authentication.service import Service
from counterfoil import tokens
from counterfoil.permissions import Scopes, split_scopes
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import DeviceCode, OAuthClient

CODE_SECONDS = 600
INTERVAL_SECONDS = 5
_MAX_CODES = 10_000
# When a new one may be possible again: codes expire all the time.
_FULL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """What a device receives: the code that it polls with, and the one that its user types."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What a device asks for, as its user is to read it. `ip` is where it is."""

    client: OAuthClient
    scopes: Scopes
    ip: str | None
    user_agent: str | None


async def begin(
    service: Service, sent: ClientCredentials, scope: str | None, *, origin: Origin
) -> DeviceGrant:
    """Give codes to a device, if its client can be authenticated and has the grant.

    Raises InvalidClient, UnauthorizedClient, InvalidScope, TooManyAttempts for too many from one
    network, or from all together, and HashingBusy in a flood.
    """
    return await service.device_requests.run(lambda: _begin(service, sent, scope, origin))


async def _begin(
    service: Service, sent: ClientCredentials, scope: str | None, origin: Origin
) -> DeviceGrant:
    client = await client_authentication.get_client(service, sent, Grant.DEVICE_CODE, origin=origin)
    registered = split_scopes(client.scopes)
    scopes = split_scopes(scope or "") or registered
    if not scopes <= registered:
        raise InvalidScope("This client may not ask for one of these scopes.")
    limit = service.settings.device_requests_per_minute
    service.unknown_tokens.count_in("device", origin, limit=limit)
    return await service.database.run(
        lambda db: _add(db, client, scopes, origin), is_untrusted=True
    )


async def find(service: Service, actor: Actor, user_code: str) -> DeviceRequest:
    """What the device asks for that shows this code, for a user who is signed in.

    Raises InvalidUserCode, and TooManyAttempts for an account that has entered too many codes.
    """
    service.user_code_budget.charge(actor.identity.user_id)
    return await service.database.run(lambda db: _read(db, user_code), read_only=True)


async def approve(service: Service, actor: Actor, user_code: str) -> OAuthClient:
    """Allow the device what it asks for. The session must be fresh. Returns its client.

    Raises InvalidUserCode, TooManyAttempts, InvalidToken, InsufficientUserAuthentication, and
    InvalidScope if the user does not have one of the scopes.
    """
    service.user_code_budget.charge(actor.identity.user_id)
    return await service.database.run(lambda db: _decide(db, actor, user_code, is_allowed=True))


async def deny(service: Service, actor: Actor, user_code: str) -> OAuthClient:
    """Deny it. Returns the client. Raises InvalidUserCode, TooManyAttempts, InvalidToken."""
    service.user_code_budget.charge(actor.identity.user_id)
    return await service.database.run(lambda db: _decide(db, actor, user_code, is_allowed=False))


def _add(db: Session, client: OAuthClient, scopes: Scopes, origin: Origin) -> DeviceGrant:
    if queries.device_codes.count_unexpired(db, most=_MAX_CODES) >= _MAX_CODES:
        raise TooManyAttempts(_FULL_SECONDS)
    if queries.oauth_clients.hold(db, client.id) is None:
        raise InvalidClient
    device_code, user_code = tokens.create(TokenKind.DEVICE_CODE), user_codes.create()
    queries.device_codes.add(
        db,
        device_code_digest=device_code.digest,
        user_code_digest=user_codes.digest(user_code),
        client_id=client.id,
        scopes=" ".join(sorted(scopes)),
        ip=origin.ip,
        user_agent=origin.user_agent,
        interval_seconds=INTERVAL_SECONDS,
        expires_at=clock.read(db) + timedelta(seconds=CODE_SECONDS),
    )
    return DeviceGrant(device_code.text, user_code)


def _read(db: Session, user_code: str) -> DeviceRequest:
    code = _find(db, user_code)
    client = queries.oauth_clients.find(db, code.client_id)
    if client is None or client.disabled_at is not None:
        raise InvalidUserCode
    db.expunge(client)
    return DeviceRequest(client, split_scopes(code.scopes), code.ip, code.user_agent)


def _decide(db: Session, actor: Actor, user_code: str, *, is_allowed: bool) -> OAuthClient:
    held = actor.hold(db, fresh=is_allowed)
    code = _find(db, user_code)
    client = queries.oauth_clients.hold(db, code.client_id)
    if client is None:
        raise InvalidUserCode
    scopes = split_scopes(code.scopes)
    if not is_allowed:
        is_decided = queries.device_codes.deny(db, code.id, user_id=held.user.id)
        _record(db, Event.DEVICE_DENIED, actor, client.id, scopes, is_decided=is_decided)
        return client
    if not scopes <= held.identity.scopes:
        raise InvalidScope
    is_decided = queries.device_codes.approve(
        db,
        code.id,
        user_id=held.user.id,
        epoch=held.user.session_epoch,
        login_session_id=held.identity.session_id,
    )
    consents.add(db, held.user.id, client, scopes)
    _record(db, Event.DEVICE_APPROVED, actor, client.id, scopes, is_decided=is_decided)
    return client


def _find(db: Session, user_code: str) -> DeviceCode:
    digest = user_codes.digest(user_code)
    code = queries.device_codes.find_undecided(db, digest) if digest else None
    if code is None:
        raise InvalidUserCode
    return code


def _record(
    db: Session, event: Event, actor: Actor, client_id: str, scopes: Scopes, *, is_decided: bool
) -> None:
    """Raises InvalidUserCode if another request has decided meanwhile."""
    if not is_decided:
        raise InvalidUserCode
    audit.record(
        db,
        event,
        origin=actor.origin,
        subject=audit.user(actor.identity.user_id),
        client=client_id,
        scope=" ".join(sorted(scopes)),
    )
