"""Roles and scopes: what a credential may do at this moment.

A credential's scopes are cut to what its user's roles give now, so a demotion holds at once.
"""

from collections.abc import Iterable
from functools import lru_cache

from counterfoil.errors import InsufficientRole, InsufficientScope

# What every user may do without any role: manage the own account, sessions and API keys.
ACCOUNT = "account"

Scopes = frozenset[str]


@lru_cache(maxsize=1024)
def parse_grants(grants: str | None) -> tuple[tuple[str, ...], Scopes]:
    """Read "user=;admin=admin introspect": the names of the roles, sorted, and all their scopes."""
    pairs = [grant.partition("=") for grant in (grants or "").split(";") if grant]
    roles = tuple(sorted(name for name, _, _ in pairs))
    return roles, frozenset(scope for _, _, scopes in pairs for scope in scopes.split())


@lru_cache(maxsize=1024)
def session_scopes(token_scopes: str | None, grants: str | None) -> Scopes:
    """The effective scopes of an access token. `token_scopes` is None for all there are."""
    available = parse_grants(grants)[1] | {ACCOUNT}
    return available if token_scopes is None else available & frozenset(token_scopes.split())


@lru_cache(maxsize=1024)
def api_key_scopes(key_scopes: str | None, grants: str | None) -> Scopes:
    """The effective scopes of an API key, which never manages the account it belongs to."""
    return session_scopes(key_scopes, grants) - {ACCOUNT}


def demand_scopes(available: Scopes, demanded: Scopes) -> None:
    """Raises InsufficientScope unless all demanded scopes are there."""
    if not demanded <= available:
        raise InsufficientScope(demanded)


def demand_role(roles: Iterable[str], demanded: Scopes) -> None:
    """Raises InsufficientRole unless one of the demanded roles is there."""
    if demanded and demanded.isdisjoint(roles):
        raise InsufficientRole(demanded)
