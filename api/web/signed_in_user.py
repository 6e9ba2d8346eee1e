"""Resolves the session cookie to the signed-in user, by the same lookup as the API's requests."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request

from api import denials
from api.dependencies import actor_of, charge, origin_of, service_of
from api.web import cookies
from authentication import permissions
from authentication.credentials.actor import Actor
from authentication.grants import console as console_grant
from counterfoil.errors import InsufficientScope
from counterfoil.identity import Identity, SessionKind


class SignInRequired(Exception):
    """No user is signed in. `was_signed_in` is true if the session was revoked or has expired."""

    def __init__(self, *, was_signed_in: bool) -> None:
        self.was_signed_in = was_signed_in
        super().__init__()


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """The user of a session in a cookie. `token` is its access token and must never be rendered."""

    identity: Identity
    token: str

    @property
    def is_administrator(self) -> bool:
        return permissions.ADMIN in self.identity.scopes


async def find_signed_in_user(request: Request) -> SignedInUser | None:
    """None if the cookie is missing or its session is not live. Raises DatabaseUnavailable."""
    token = cookies.read(request, cookies.SESSION)
    service = service_of(request)
    identity = None
    if token:
        identity = await service.resolver.resolve(token, session_kind=SessionKind.CONSOLE)
        if identity is None:
            service.rejected_tokens.record(token, origin_of(request).ip)
    return SignedInUser(identity, token) if token and identity else None


async def get_signed_in_user(request: Request) -> SignedInUser:
    """The signed-in user, whose session this request keeps alive. Raises SignInRequired."""
    user = await find_signed_in_user(request)
    if user is None:
        raise SignInRequired(was_signed_in=bool(cookies.read(request, cookies.SESSION)))
    await console_grant.keep_alive(service_of(request), user.identity)
    request.state.signed_in_user = user
    return user


SignedInUserDep = Annotated[SignedInUser, Depends(get_signed_in_user)]


async def get_administrator(request: Request, user: SignedInUserDep) -> SignedInUser:
    """The signed-in user, who must be an administrator. Raises InsufficientScope."""
    if not user.is_administrator:
        error = InsufficientScope(frozenset({permissions.ADMIN}))
        denials.record(request, error, user.token)
        raise error
    return user


AdministratorDep = Annotated[SignedInUser, Depends(get_administrator)]


async def get_signed_in_actor(request: Request, user: SignedInUserDep) -> Actor:
    """The signed-in user, for what they do with their own account.

    Raises TooManyAttempts if the account or the session has made too many changes.
    """
    charge(request, user.identity, credential_only=False)
    return signed_in_actor_of(request, user)


async def get_signed_in_revoker(request: Request, user: SignedInUserDep) -> Actor:
    """The same, for what revokes something: it counts for the session alone."""
    charge(request, user.identity, credential_only=True)
    return signed_in_actor_of(request, user)


def signed_in_actor_of(request: Request, user: SignedInUser) -> Actor:
    """The signed-in user as the actor of something with their own account."""
    actor = actor_of(request, user.identity, frozenset({permissions.ACCOUNT}))
    return replace(actor, session_kind=SessionKind.CONSOLE)


# The user of a form that changes something: each transaction begins with `actor.hold`.
SignedInActor = Annotated[Actor, Depends(get_signed_in_actor)]
SignedInRevoker = Annotated[Actor, Depends(get_signed_in_revoker)]


async def get_signed_in_administrator(admin: AdministratorDep, actor: SignedInRevoker) -> Actor:
    """The signed-in administrator, for what they do with the accounts of others."""
    return replace(actor, scopes=frozenset({permissions.ADMIN}))


SignedInAdministrator = Annotated[Actor, Depends(get_signed_in_administrator)]
