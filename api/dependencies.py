"""FastAPI dependencies: the caller's identity, a database session, the origin of the request.

Your own routes use `CurrentIdentity`, `OptionalIdentity`, `requires("scope")` and
`requires_role("admin")`, which are those of counterfoil/fastapi.py.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request, Security
from sqlalchemy.orm import Session

from api.request import client_address
from authentication import permissions
from authentication.audit import Origin
from authentication.service import Service
from counterfoil.authenticator import RESOLVED
from counterfoil.fastapi import (
    CurrentIdentity,
    IdentityDependency,
    OptionalIdentity,
    get_identity,
    get_optional_identity,
    requires,
    requires_role,
)
from counterfoil.identity import Identity

__all__ = [
    "AccountIdentity",
    "CurrentIdentity",
    "OptionalIdentity",
    "OriginDep",
    "ServiceDep",
    "SessionDep",
    "get_identity",
    "get_optional_identity",
    "requires",
    "requires_role",
]

# An account is managed with a session's token that was not restricted to other scopes.
AccountIdentity = Annotated[
    Identity,
    Security(
        IdentityDependency(scopes=frozenset({permissions.ACCOUNT}), session_only=True),
        scopes=[permissions.ACCOUNT],
    ),
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
    )


# Coroutines, because FastAPI runs a plain function in a thread, which costs as much as a lookup.
async def get_service(request: Request) -> Service:
    """The running service, for a route."""
    return service_of(request)


async def get_origin(request: Request) -> Origin:
    """The origin of the request, for a route. Every route that changes something has one.

    Raises TooManyAttempts if the caller, if already known, has made too many changes.
    """
    identity: Identity | None = request.scope.get(RESOLVED)
    if identity is not None and request.method not in READING:
        charge(request, identity, is_revocation=_revokes(request))
    return origin_of(request)


def charge(request: Request, identity: Identity, *, is_revocation: bool) -> None:
    """Count a change by the caller. Raises TooManyAttempts."""
    service_of(request).write_budget.charge(
        identity.user_id,
        identity.session_id or identity.api_key_id,
        is_revocation=is_revocation,
    )


def _revokes(request: Request) -> bool:
    """Whether the request revokes something: a new password does, too."""
    return request.method in {"DELETE", "PUT"} or request.scope["path"] == "/logout"


async def get_session(request: Request) -> AsyncIterator[Session]:
    """A transaction that is committed before the response is sent, and read-only for a GET."""
    read_only = request.method in READING
    async with service_of(request).database.session(read_only=read_only) as db:
        yield db


ServiceDep = Annotated[Service, Depends(get_service)]
OriginDep = Annotated[Origin, Depends(get_origin)]
# FastAPI's default scope would commit after the response, which then cannot say that it failed.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
