"""FastAPI dependencies: the caller's identity, a database session, the origin of the request.

Your own routes use `CurrentIdentity`, `OptionalIdentity`, `requires("scope")`,
`requires_role("admin")`, `fresh()` and `second_factor()`, as in counterfoil/fastapi.py. A route of
the service that writes for its caller takes an `Actor`, whom its transaction holds.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security.base import SecurityBase
from sqlalchemy.orm import Session

from api.request import client_address, session_cookie
from authentication import languages, permissions
from authentication.audit import Origin
from authentication.credentials.actor import Actor
from authentication.service import Service
from counterfoil.authenticator import RESOLVED
from counterfoil.fastapi import (
    CurrentIdentity,
    IdentityDependency,
    OptionalIdentity,
    fresh,
    get_identity,
    get_optional_identity,
    requires,
    requires_role,
    second_factor,
)
from counterfoil.identity import Identity, SessionKind

__all__ = [
    "AccountActor",
    "AccountIdentity",
    "AccountRevoker",
    "AdministratorActor",
    "CurrentIdentity",
    "KeyActor",
    "OptionalIdentity",
    "OriginDep",
    "ServiceDep",
    "SessionDep",
    "fresh",
    "get_identity",
    "get_optional_identity",
    "requires",
    "requires_role",
    "second_factor",
]

_OWN_ACCOUNT = IdentityDependency(scopes=frozenset({permissions.ACCOUNT}), session_only=True)
_ADMINISTRATION = IdentityDependency(scopes=frozenset({permissions.ADMIN}))

# An account is managed with a session's token that was not restricted to other scopes.
AccountIdentity = Annotated[Identity, Security(_OWN_ACCOUNT, scopes=[permissions.ACCOUNT])]


class ActorDependency(SecurityBase):
    """Checks the caller as `required` says, and returns them as the actor of what they ask for."""

    model = IdentityDependency.model
    scheme_name = IdentityDependency.scheme_name

    def __init__(self, required: IdentityDependency, *, credential_only: bool = False) -> None:
        self._required = required
        self._credential_only = credential_only

    async def __call__(self, request: Request) -> Actor:
        """Raises TooManyAttempts if the caller has made too many changes."""
        identity = await self._required(request)
        charge(request, identity, credential_only=self._credential_only)
        return actor_of(request, identity, self._required.scopes)


# The callers of routes that write: each transaction begins with `actor.hold`.
AccountActor = Annotated[
    Actor, Security(ActorDependency(_OWN_ACCOUNT), scopes=[permissions.ACCOUNT])
]
# Those of routes that revoke something, or that a revocation may need.
AccountRevoker = Annotated[
    Actor,
    Security(ActorDependency(_OWN_ACCOUNT, credential_only=True), scopes=[permissions.ACCOUNT]),
]
# An API key that changes itself; api_keys.get_own rejects sessions.
KeyActor = Annotated[Actor, Security(ActorDependency(IdentityDependency()))]
AdministratorActor = Annotated[
    Actor,
    Security(ActorDependency(_ADMINISTRATION, credential_only=True), scopes=[permissions.ADMIN]),
]

READING = frozenset({"GET", "HEAD"})


def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


def origin_of(request: Request) -> Origin:
    """The IP address and the user agent of the request, and its caller if already known."""
    identity: Identity | None = request.scope.get(RESOLVED)
    return Origin(
        actor=identity.actor if identity else "anonymous",
        ip=client_address.of(request, request.app.state.proxy_networks),
        user_agent=client_address.user_agent(request),
        language=languages.negotiate(request.headers.get("accept-language", "")),
    )


def actor_of(request: Request, identity: Identity, scopes: permissions.Scopes) -> Actor:
    """The caller as the actor of something that requires these scopes."""
    origin = origin_of(request).acting_as(identity.actor)
    kind = SessionKind.BROWSER if session_cookie.is_used_by(request) else SessionKind.API
    return Actor(identity, origin, scopes, service_of(request).settings.fresh_seconds, kind)


# Coroutines, because FastAPI runs a plain function in a thread, which costs as much as a lookup.
async def get_service(request: Request) -> Service:
    """The running service, for a route."""
    return service_of(request)


async def get_origin(request: Request) -> Origin:
    """The origin of the request. Every route that changes something has one, or an actor.

    Raises TooManyAttempts if the caller, if already known, has made too many changes.
    """
    identity: Identity | None = request.scope.get(RESOLVED)
    if identity is not None and request.method not in READING:
        charge(request, identity, credential_only=request.method == "DELETE")
    return origin_of(request)


def charge(request: Request, identity: Identity, *, credential_only: bool) -> None:
    """Count a change by the caller, for the account as well or not. Raises TooManyAttempts."""
    service_of(request).write_budget.charge(
        identity.user_id,
        identity.session_id or identity.api_key_id,
        credential_only=credential_only,
    )


async def get_session(request: Request) -> AsyncIterator[Session]:
    """A transaction that is committed before the response is sent, and read-only for a GET."""
    read_only = request.method in READING
    async with service_of(request).database.session(read_only=read_only) as db:
        yield db


ServiceDep = Annotated[Service, Depends(get_service)]
OriginDep = Annotated[Origin, Depends(get_origin)]
# FastAPI's default scope would commit after the response, which then cannot say that it failed.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
