"""Finds out which client sends a request, and whether it proves that (RFC 6749, 2.3)."""

import hmac
import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.clients.grants import Grant, has_grant
from authentication.clients.registration import ID_PATTERN, RESERVED_IDS
from authentication.errors import InvalidClient, UnauthorizedClient
from authentication.service import Service
from counterfoil import tokens
from database import clock, queries
from database.models import OAuthClient

_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a request says about its client. `client_id` is a label if none is registered by it."""

    client_id: str | None
    secret: str | None


async def find_client(
    service: Service, sent: ClientCredentials, *, origin: Origin
) -> OAuthClient | None:
    """The registered client that sends a request. None for a label, or without a client_id.

    Raises InvalidClient for one that is disabled, or does not prove that it is the client, and
    TooManyAttempts for too many of these from one network.
    """
    client_id = sent.client_id
    if client_id is None or client_id in RESERVED_IDS or _ID.fullmatch(client_id) is None:
        return None
    limit = service.settings.client_failures_per_minute
    service.unknown_tokens.reject_flood("client", origin, limit=limit)
    try:
        return await service.database.run(
            lambda db: _authenticate(db, client_id, sent.secret), read_only=True, is_untrusted=True
        )
    except InvalidClient:
        service.unknown_tokens.count_in("client", origin, limit=limit)
        raise


async def get_client(
    service: Service, sent: ClientCredentials, grant: Grant, *, origin: Origin
) -> OAuthClient:
    """The registered client, which has to have this grant.

    Raises InvalidClient, also for one that is not registered, TooManyAttempts and
    UnauthorizedClient.
    """
    client = await find_client(service, sent, origin=origin)
    if client is None:
        raise InvalidClient
    demand_grant(client, grant)
    return client


def demand_grant(client: OAuthClient | None, grant: Grant) -> None:
    """Raises UnauthorizedClient for a registered client that does not have the grant."""
    if client is not None and not has_grant(client, grant):
        raise UnauthorizedClient


def _authenticate(db: Session, client_id: str, secret: str | None) -> OAuthClient | None:
    client = queries.oauth_clients.find(db, client_id)
    if client is None:
        return None
    if client.disabled_at is not None or not _is_proven(db, client, secret):
        raise InvalidClient
    db.expunge(client)
    return client


def _is_proven(db: Session, client: OAuthClient, secret: str | None) -> bool:
    if client.secret_digest is None or secret is None:
        return client.secret_digest is None and secret is None
    digest = tokens.digest(secret)
    if hmac.compare_digest(digest, client.secret_digest):
        return True
    previous, until = client.previous_secret_digest, client.previous_secret_expires_at
    if previous is None or until is None or until <= clock.read(db):
        return False
    return hmac.compare_digest(digest, previous)
