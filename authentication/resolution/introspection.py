"""Tells another service what stands behind a token that it was sent (RFC 7662)."""

from typing import Any

from authentication import permissions
from authentication.permissions import INTROSPECT
from counterfoil.errors import InvalidToken
from counterfoil.identity import Identity
from counterfoil.permissions import demand_scopes
from counterfoil.resolver import Resolver

_DEMANDED = frozenset({INTROSPECT})


async def introspect(resolver: Resolver, token: str, *, caller: str) -> Identity | None:
    """The identity behind the token if it is live, for a caller who may ask.

    Refresh tokens are not looked up: the one place they may be sent to is the token endpoint, and a
    service that is sent one must refuse it. Raises InvalidToken and InsufficientScope on account of
    the caller's own credential, whatever the token is.
    """
    # Both are looked up at once, so that asking costs one turn of the database and not two.
    asking, found = await resolver.resolve_both(caller, token)
    if asking is None:
        raise InvalidToken
    demand_scopes(asking.scopes, _DEMANDED)
    return found


def describe(identity: Identity, *, issuer: str) -> dict[str, Any]:
    """The members of RFC 7662, 2.2, with `sid` for the session. What there is not is left out."""
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
