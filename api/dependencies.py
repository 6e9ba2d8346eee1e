"""What routes ask for: the caller's identity, a database session, where the request came from.

Your own routes use `CurrentIdentity`, `OptionalIdentity`, `requires("scope")` and
`requires_role("admin")`. Each is a single dependency, because each link of a chain of them costs
about a sixth of the whole request.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from sqlalchemy.orm import Session

from api.middleware import RESOLVED
from api.request import client_address, credentials
from authentication import permissions
from authentication.audit import Origin
from authentication.errors import InvalidToken, NotAuthenticated, SessionRequired
from authentication.resolution.identity import Identity
from authentication.service import Service

SCHEME_NAME = "Password"


class IdentityDependency(SecurityBase):
    """Resolves the caller's credential and demands what the route demands, all in one."""

    model = OAuth2Model(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="token", scopes={})))
    scheme_name = SCHEME_NAME

    def __init__(
        self,
        *,
        scopes: frozenset[str] = frozenset(),
        roles: frozenset[str] = frozenset(),
        session_only: bool = False,
    ) -> None:
        self.scopes = scopes
        self.roles = roles
        self.session_only = session_only

    async def __call__(self, request: Request) -> Identity:
        identity = await resolve(request)
        if identity is None:
            raise NotAuthenticated
        if self.session_only and identity.session_id is None:
            raise SessionRequired
        if self.scopes:
            permissions.demand_scopes(identity.scopes, self.scopes)
        if self.roles:
            permissions.demand_role(identity.roles, self.roles)
        return identity


class OptionalIdentityDependency(SecurityBase):
    """The caller's identity, or None where no credential was sent. A bad one is refused."""

    model = IdentityDependency.model
    scheme_name = SCHEME_NAME

    async def __call__(self, request: Request) -> Identity | None:
        return await resolve(request)


async def resolve(request: Request) -> Identity | None:
    """The identity behind the request's credential. None if none was sent.

    Raises InvalidToken, AmbiguousCredentials, DatabaseUnavailable. Asked twice within one request,
    it answers from the first lookup, which began after the request arrived.
    """
    scope = request.scope
    if RESOLVED in scope:
        known: Identity | None = scope[RESOLVED]
        return known
    state = scope["app"].state
    token = credentials.find(scope["headers"], state.api_key_headers)
    identity = None
    if token is not None:
        identity = await state.service.resolver.resolve(token)
        if identity is None:
            state.service.refusals.note(token, origin_of(request).ip)
            raise InvalidToken
    scope[RESOLVED] = identity
    return identity


get_identity = IdentityDependency()
get_optional_identity = OptionalIdentityDependency()

CurrentIdentity = Annotated[Identity, Depends(get_identity)]
OptionalIdentity = Annotated[Identity | None, Depends(get_optional_identity)]
# Managing an account takes a session of its own that has not been narrowed to something else.
AccountIdentity = Annotated[
    Identity,
    Security(
        IdentityDependency(scopes=frozenset({permissions.ACCOUNT}), session_only=True),
        scopes=[permissions.ACCOUNT],
    ),
]


def requires(*scopes: str) -> Any:
    """A dependency that demands all these scopes: 403 `insufficient_scope` without them.

    Use it as `identity: Annotated[Identity, requires("orders:read")]` or in a route's
    `dependencies=[requires("orders:read")]`.
    """
    # Named twice: the dependency demands them, and FastAPI writes them into the description.
    return Security(IdentityDependency(scopes=frozenset(scopes)), scopes=scopes)


def requires_role(*roles: str) -> Any:
    """A dependency that demands one of these roles: 403 `insufficient_role` without."""
    return Depends(IdentityDependency(roles=frozenset(roles)))


def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


def origin_of(request: Request) -> Origin:
    """Where the request came from, and who sent it if that is known by now."""
    identity: Identity | None = request.scope.get(RESOLVED)
    return Origin(
        actor=identity.actor if identity else "anonymous",
        ip=client_address.of(request, request.app.state.proxy_networks),
        user_agent=client_address.user_agent(request),
    )


# Coroutines, because FastAPI would hand a plain function to a thread, at the cost of a lookup.
async def get_service(request: Request) -> Service:
    """The running service, for a route."""
    return service_of(request)


async def get_origin(request: Request) -> Origin:
    """Where the request came from, for a route."""
    return origin_of(request)


async def get_session(request: Request) -> AsyncIterator[Session]:
    """A transaction that is committed before the answer is sent, and read-only for a GET."""
    read_only = request.method in {"GET", "HEAD"}
    async with service_of(request).database.session(read_only=read_only) as db:
        yield db


ServiceDep = Annotated[Service, Depends(get_service)]
OriginDep = Annotated[Origin, Depends(get_origin)]
# With FastAPI's default scope, a commit that fails would come after an answer that says it has not.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
