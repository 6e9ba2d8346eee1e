"""Who looks at a page: by the token in a cookie, looked up as for every request of the API."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.console import cookies
from api.dependencies import origin_of, service_of
from authentication import permissions
from authentication.audit import Origin
from authentication.grants import console as console_grant
from counterfoil.errors import InsufficientScope
from counterfoil.identity import Identity


class SignInRequired(Exception):
    """Nobody is signed in. `was_signed_in` tells a session that has ended from none at all."""

    def __init__(self, *, was_signed_in: bool) -> None:
        self.was_signed_in = was_signed_in
        super().__init__()


@dataclass(frozen=True, slots=True)
class Visitor:
    """`token` is the access token of the session; it never gets into a page."""

    identity: Identity
    token: str

    @property
    def is_administrator(self) -> bool:
        return permissions.ADMIN in self.identity.scopes


async def find_visitor(request: Request) -> Visitor | None:
    """Who is signed in at this moment, if anyone. Raises DatabaseUnavailable."""
    token = cookies.read(request, cookies.SESSION)
    service = service_of(request)
    identity = await service.resolver.resolve(token) if token else None
    if token and identity is None:
        service.refusals.note(token, origin_of(request).ip)
    # An API key or a token for something else, put into the cookie by hand, is nobody.
    if token is None or identity is None or identity.session_id is None:
        return None
    return Visitor(identity, token) if permissions.ACCOUNT in identity.scopes else None


async def get_visitor(request: Request) -> Visitor:
    """Who is signed in; looking at a page keeps the session alive. Raises SignInRequired."""
    visitor = await find_visitor(request)
    if visitor is None:
        raise SignInRequired(was_signed_in=bool(cookies.read(request, cookies.SESSION)))
    await console_grant.keep_alive(service_of(request), visitor.identity)
    request.state.visitor = visitor
    return visitor


VisitorDep = Annotated[Visitor, Depends(get_visitor)]


async def get_administrator(visitor: VisitorDep) -> Visitor:
    """Raises InsufficientScope for anybody else."""
    if not visitor.is_administrator:
        raise InsufficientScope(frozenset({permissions.ADMIN}))
    return visitor


async def get_console_origin(request: Request, visitor: VisitorDep) -> Origin:
    """Where the visitor is, for the audit log."""
    return origin_of(request).acting_as(visitor.identity.actor)


AdministratorDep = Annotated[Visitor, Depends(get_administrator)]
ConsoleOriginDep = Annotated[Origin, Depends(get_console_origin)]
