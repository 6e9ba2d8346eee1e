"""What scopes a new credential may be given; counterfoil/permissions.py says what they allow."""

from collections.abc import Iterable, Mapping

from authentication.errors import InvalidScope
from counterfoil.permissions import ACCOUNT, Scopes, split_scopes, usable

__all__ = [
    "ACCOUNT",
    "ADMIN",
    "INTROSPECT",
    "ROTATE",
    "Scopes",
    "grant_to_api_key",
    "join",
    "narrow",
    "roles_of_api_key",
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
    if not requested - {ROTATE} <= available:
        raise InvalidScope(available=available - {ACCOUNT})
    return requested


def roles_of_api_key(requested: Scopes | None, roles: Mapping[str, Scopes]) -> tuple[str, ...]:
    """The roles to record with a new API key, of those that whoever makes it can use.

    All of them, unless scopes are requested: then those that a token narrowed to them would have.
    """
    return usable(None if requested is None else join(requested), roles).roles


def join(scopes: Iterable[str]) -> str:
    """Scopes as OAuth writes them (RFC 6749, 3.3), in a stable order."""
    return " ".join(sorted(scopes))
