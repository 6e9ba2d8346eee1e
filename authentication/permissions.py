"""What scopes a new credential may be given; counterfoil/permissions.py says what they allow."""

from collections.abc import Iterable

from authentication.errors import InvalidScope
from counterfoil.permissions import ACCOUNT, Scopes, split_scopes

__all__ = [
    "ACCOUNT",
    "ADMIN",
    "INTROSPECT",
    "ROTATE",
    "Scopes",
    "grant_to_api_key",
    "join",
    "narrow",
]

ADMIN = "admin"
INTROSPECT = "introspect"
# Lets an API key rotate itself. Any key can be given it, and it says nothing to anybody else.
ROTATE = "rotate"


def narrow(requested: str | None, available: Scopes) -> str | None:
    """The scopes to store for a credential: those requested, or None for all that the roles give.

    Raises InvalidScope if one of them is not available.
    """
    scopes = split_scopes(requested or "")
    if not scopes:
        return None
    if not scopes <= available:
        raise InvalidScope
    return join(scopes)


def grant_to_api_key(requested: Scopes | None, available: Scopes) -> Scopes:
    """The scopes of a new API key: those requested, or all that whoever makes it has.

    `rotate` has to be requested. Raises InvalidScope if one of them is not available, or is
    `account`.
    """
    if requested is None:
        return available - {ACCOUNT}
    if ACCOUNT in requested:
        raise InvalidScope(f"An API key cannot have the scope {ACCOUNT}.")
    if missing := requested - {ROTATE} - available:
        given = join(available - {ACCOUNT}) or "none"
        raise InvalidScope(f"Scopes that cannot be given: {join(missing)}. That can: {given}.")
    return requested


def join(scopes: Iterable[str]) -> str:
    """Scopes as OAuth writes them (RFC 6749, 3.3), in a stable order."""
    return " ".join(sorted(scopes))
