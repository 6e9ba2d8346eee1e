"""Roles and scopes: what a credential may do at this moment.

A credential's scopes are cut to what its user's roles give now, so a demotion holds at once. A
credential has a role only if it holds all scopes of that role. One that was narrowed to scopes has
no role that gives none: it would act in that role whatever it was narrowed to.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from counterfoil.errors import (
    InsufficientRole,
    InsufficientScope,
    InsufficientUserAuthentication,
)

# What every user may do without any role: manage the own account, sessions and API keys.
ACCOUNT = "account"

Scopes = frozenset[str]


class Usable(NamedTuple):
    """What a credential may use of what its user has."""

    roles: tuple[str, ...]
    scopes: Scopes


def split_scopes(text: str) -> Scopes:
    """The scopes of a list that is divided by spaces (RFC 6749, 3.3), any number of them.

    Only by U+0020, as the queries for scopes do: `str.split()` also takes tabs and the spaces of
    Unicode, so that a role could give a scope that no query for it finds.
    """
    return frozenset(text.split(" ")) - {""}


@lru_cache(maxsize=1024)
def parse_grants(grants: str | None) -> Mapping[str, Scopes]:
    """Read "user=;admin=admin introspect": each role, by name, with the scopes that it gives."""
    pairs = sorted(grant.partition("=") for grant in (grants or "").split(";") if grant)
    return MappingProxyType({name: split_scopes(scopes) for name, _, scopes in pairs})


@lru_cache(maxsize=1024)
def of_session(token_scopes: str | None, grants: str | None) -> Usable:
    """What an access token may use, by the grants of its user."""
    return usable(token_scopes, parse_grants(grants))


def usable(token_scopes: str | None, roles: Mapping[str, Scopes]) -> Usable:
    """The same, by the scopes of each role. `token_scopes` is None if it was not narrowed.

    One that was narrowed has only the roles that give scopes, all of which it holds.
    """
    available = frozenset({ACCOUNT}).union(*roles.values())
    if token_scopes is None:
        return Usable(tuple(roles), available)
    scopes = available & split_scopes(token_scopes)
    giving = {name: given for name, given in roles.items() if given}
    return Usable(_held(giving, scopes), scopes)


@lru_cache(maxsize=1024)
def of_api_key(key_scopes: str | None, granted_roles: str | None, grants: str | None) -> Usable:
    """What an API key may use, by the grants of its user."""
    return usable_by_api_key(key_scopes, granted_roles, parse_grants(grants))


def usable_by_api_key(
    key_scopes: str | None, granted_roles: str | None, roles: Mapping[str, Scopes]
) -> Usable:
    """The same, by the scopes of each role. Never the account, and no role later than the key.

    `granted_roles` are those it was made with, divided by commas; of them it has those that its
    user still has, and all of whose scopes it holds. One that was made for some scopes was made
    with no role that gives none: see `authentication.permissions.roles_of_api_key`.
    """
    scopes = usable(key_scopes, roles).scopes - {ACCOUNT}
    granted = (granted_roles or "").split(",")
    kept = {name: given for name, given in roles.items() if name in granted}
    return Usable(_held(kept, scopes), scopes)


def _held(roles: Mapping[str, Scopes], scopes: Scopes) -> tuple[str, ...]:
    return tuple(name for name, given in roles.items() if given <= scopes)


def demand_scopes(available: Scopes, demanded: Scopes) -> None:
    """Raises InsufficientScope unless all demanded scopes are available."""
    if not demanded <= available:
        raise InsufficientScope(demanded)


def demand_role(roles: Iterable[str], demanded: Scopes) -> None:
    """Raises InsufficientRole unless one of the demanded roles is among them."""
    if demanded and demanded.isdisjoint(roles):
        raise InsufficientRole(demanded)


def demand_fresh(confirmed_at: float | None, now: float, *, seconds: int) -> None:
    """Raises InsufficientUserAuthentication if the user confirmed this longer ago, or never.

    Both times are seconds since 1970, by the clock of the database.
    """
    if confirmed_at is None or now - confirmed_at > seconds:
        raise InsufficientUserAuthentication(seconds)


def demand_second_factor(
    second_factor_at: float | None, now: float, *, seconds: int | None
) -> None:
    """Raises InsufficientUserAuthentication if no second factor was given, or longer ago.

    With `seconds` None it may have been given at any time in the session.
    """
    if second_factor_at is None or (seconds is not None and now - second_factor_at > seconds):
        raise InsufficientUserAuthentication(seconds, needs_second_factor=True)
