"""Tells another service the identity behind a token that it received (RFC 7662)."""

from authentication.permissions import INTROSPECT
from counterfoil.errors import InvalidToken
from counterfoil.identity import Identity, SessionKind
from counterfoil.permissions import demand_scopes
from counterfoil.resolver import Resolver

_DEMANDED = frozenset({INTROSPECT})


async def introspect(
    resolver: Resolver, token: str, *, caller: str, session_kind: SessionKind
) -> Identity | None:
    """The identity behind the token if it is live, for a caller with the scope `introspect`.

    A token in a cookie is only looked up for a caller who says that it was sent in one.

    Refresh tokens are not looked up: they may only be sent to the token endpoint, and any other
    service must reject them. Raises InvalidToken and InsufficientScope because of the caller's own
    credential, whatever the token is.
    """
    # Both are looked up at once, which takes one round trip instead of two.
    asking, found = await resolver.resolve_both(caller, token, session_kind=session_kind)
    if asking is None:
        raise InvalidToken
    demand_scopes(asking.scopes, _DEMANDED)
    return found
