"""Tells another service the identity behind a token that it received (RFC 7662)."""

from typing import Any

from authentication import permissions
from authentication.permissions import INTROSPECT
from counterfoil.errors import InvalidToken
from counterfoil.identity import Identity
from counterfoil.permissions import demand_scopes
from counterfoil.resolver import Resolver

_DEMANDED = frozenset({INTROSPECT})


async def introspect(resolver: Resolver, token: str, *, caller: str) -> Identity | None:
    """The identity behind the token if it is live, for a caller with the scope `introspect`.

    Refresh tokens are not looked up: they may only be sent to the token endpoint, and any other
    service must reject them. Raises InvalidToken and InsufficientScope because of the caller's own
    credential, whatever the token is.
    """
    # Both are looked up at once, which takes one round trip instead of two.
    asking, found = await resolver.resolve_both(caller, token)
    if asking is None:
        raise InvalidToken
    demand_scopes(asking.scopes, _DEMANDED)
    return found


def describe(identity: Identity, *, issuer: str) -> dict[str, Any]:
    """The members of RFC 7662, 2.2, and `sid` for the session, without those that have no value."""
    members = {
        "active": True,
        "scope": permissions.join(identity.scopes),
        "client_id": identity.client_id,
        "username": identity.username or identity.email,
        "token_type": "Bearer",
        "exp": None if identity.expires_at is None else int(identity.expires_at),
        "iat": int(identity.issued_at),
        "sub": str(identity.user_id),
        "iss": issuer,
        "sid": None if identity.session_id is None else str(identity.session_id),
    }
    return {name: value for name, value in members.items() if value is not None}
