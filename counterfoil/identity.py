"""An identity: the frozen result of resolving a credential, made of one row of the lookup."""

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from counterfoil import permissions


class CredentialKind(StrEnum):
    """The kinds of credentials that a request may have."""

    ACCESS_TOKEN = "access_token"
    API_KEY = "api_key"


class SessionKind(StrEnum):
    """Where a session was begun, which is the only place where its tokens are accepted."""

    API = "api"
    CONSOLE = "console"
    # In the cookie of a single-page application: see counterfoil/cookies.py.
    BROWSER = "browser"


class Acr(StrEnum):
    """Classes of authentication (`acr` of RFC 9470), by the levels of NIST SP 800-63B-4."""

    PASSWORD = "aal1"
    SECOND_FACTOR = "aal2"


class LiveCredential(NamedTuple):
    """One row of the lookup, the same for both kinds. Times are seconds since 1970.

    The fields are columns of the views `live_access_tokens` and `live_api_keys`.
    """

    digest: bytes
    credential_id: int | str
    scopes: str | None
    issued_at: float
    expires_at: float | None
    last_used_at: float | None
    session_id: str | None
    session_expires_at: float | None
    session_confirmed_at: float | None
    session_second_factor_at: float | None
    session_amr: str | None
    """What was given in the session, separated by spaces: "mfa otp pwd" (RFC 8176)."""
    client_id: str | None
    session_kind: str | None
    granted_roles: str | None
    """The roles that an API key was made with: "admin,user". None for an access token."""
    user_id: int
    email: str
    username: str | None
    name: str
    surname: str | None
    website: str | None
    user_created_at: float
    user_updated_at: float
    grants: str | None
    """The roles of the user with their scopes: "user=;admin=admin introspect".

    Without those that require a second factor, for a session in which none was given.
    """
    looked_up_at: float


class Identity(NamedTuple):
    """Who is calling, and what they may do at this moment. Times are seconds since 1970.

    Only `user_id` says who it is. `email`, `username`, `name`, `surname` and `website` are chosen
    by the user, are not verified, and can change; after some time another user can have them.

    `roles` and `scopes` are what the credential may use; `user_roles` are what the account has,
    which an API key or a narrowed session may not use all of. Roles that require a second factor
    are in none of them for a session in which none was given. `session_id` is None for an API key,
    `api_key_id` for an access token. `confirmed_at` is when the user last confirmed who they are in
    this session, `second_factor_at` when that was by more than a password, `amr` what they gave
    (RFC 8176). `looked_up_at` is when the database was asked: all times are by its clock. All but
    `user_id` have defaults, for tests: such an identity may do nothing.
    """

    user_id: int
    kind: CredentialKind = CredentialKind.ACCESS_TOKEN
    email: str = ""
    username: str | None = None
    name: str = ""
    surname: str | None = None
    website: str | None = None
    user_created_at: float = 0.0
    user_updated_at: float = 0.0
    user_roles: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    session_id: UUID | None = None
    access_token_id: int | None = None
    api_key_id: UUID | None = None
    client_id: str | None = None
    issued_at: float = 0.0
    expires_at: float | None = None
    confirmed_at: float | None = None
    looked_up_at: float = 0.0
    second_factor_at: float | None = None
    amr: tuple[str, ...] = ()

    @property
    def acr(self) -> str | None:
        """How well the user has been authenticated: see `Acr`. None for an API key."""
        if self.session_id is None:
            return None
        return Acr.PASSWORD if self.second_factor_at is None else Acr.SECOND_FACTOR

    @property
    def actor(self) -> str:
        """The name of the caller in the audit log."""
        return f"user:{self.user_id}"


def from_credential(kind: CredentialKind, found: LiveCredential) -> Identity:
    """The identity from a row of the lookup."""
    is_session = kind is CredentialKind.ACCESS_TOKEN
    if is_session:
        usable = permissions.of_session(found.scopes, found.grants)
    else:
        usable = permissions.of_api_key(found.scopes, found.granted_roles, found.grants)
    return Identity(
        kind=kind,
        user_id=found.user_id,
        email=found.email,
        username=found.username,
        name=found.name,
        surname=found.surname,
        website=found.website,
        user_created_at=found.user_created_at,
        user_updated_at=found.user_updated_at,
        user_roles=tuple(permissions.parse_grants(found.grants)),
        roles=usable.roles,
        scopes=usable.scopes,
        session_id=UUID(found.session_id) if found.session_id else None,
        access_token_id=int(found.credential_id) if is_session else None,
        api_key_id=None if is_session else UUID(str(found.credential_id)),
        client_id=found.client_id,
        issued_at=found.issued_at,
        expires_at=found.expires_at,
        confirmed_at=found.session_confirmed_at,
        looked_up_at=found.looked_up_at,
        second_factor_at=found.session_second_factor_at,
        amr=tuple(found.session_amr.split()) if found.session_amr else (),
    )
