"""Gives a confidential client an access token for the account that it is registered with.

Without a refresh token, as the client can ask again at any time (RFC 6749, 4.4.3).
"""

from sqlalchemy.orm import Session

from authentication.audit import Event, Origin
from authentication.clients import sessions as client_sessions
from authentication.clients.sessions import Approval
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.errors import (
    InvalidClient,
    InvalidScope,
    SessionLimitReached,
    UnauthorizedClient,
)
from authentication.permissions import ACCOUNT, Scopes, join
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil.permissions import split_scopes
from database import queries
from database.models import OAuthClient, User


async def issue(
    service: Service, client: OAuthClient, scope: str | None, *, origin: Origin
) -> TokenPair:
    """Issue a token to a client that is authenticated and has the grant.

    Raises InvalidScope, and UnauthorizedClient if its account is gone or disabled.
    """
    service.write_budget.charge_client(client.id)
    return await service.database.run(
        lambda db: _issue(db, service.settings, client.id, scope, origin)
    )


def _issue(
    db: Session, settings: AuthenticationSettings, client_id: str, scope: str | None, origin: Origin
) -> TokenPair:
    client = queries.oauth_clients.find(db, client_id)
    user = queries.users.lock(db, client.account_id) if client and client.account_id else None
    if queries.oauth_clients.hold(db, client_id) is None or client is None:
        raise InvalidClient
    if user is None or not user.is_active:
        raise UnauthorizedClient
    approval = Approval(user, client, join(_scopes(client, user, scope)), login=None)
    event = Event.CLIENT_TOKEN_ISSUED
    pair = client_sessions.begin(db, settings, approval, event=event, origin=origin)
    if pair is None or isinstance(pair, SessionLimitReached):
        raise UnauthorizedClient
    return pair


def _scopes(client: OAuthClient, user: User, requested: str | None) -> Scopes:
    """Those that both the client and its account have. Raises InvalidScope.

    Not `account`, with which the client could change the account and its password.
    """
    registered = split_scopes(client.scopes) - {ACCOUNT}
    available = registered & issuance.scopes_of(user, None, has_second_factor=False)
    scopes = split_scopes(requested or "")
    if not scopes <= available:
        raise InvalidScope("This client and its account do not have one of these scopes.")
    return scopes or available
