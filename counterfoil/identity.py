"""An identity: the frozen result of resolving a credential, made of one row of the lookup."""

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from counterfoil import permissions


class CredentialKind(StrEnum):
    """What a request may carry."""

    ACCESS_TOKEN = "access_token"
    API_KEY = "api_key"


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
    client_id: str | None
    user_id: int
    email: str
    username: str | None
    name: str
    surname: str | None
    website: str | None
    user_created_at: float
    user_updated_at: float
    grants: str | None
    """The roles of the user with their scopes: "user=account;admin=admin introspect"."""
    looked_up_at: float


class Identity(NamedTuple):
    """Who is calling, and what they may do at this moment. Times are seconds since 1970.

    `session_id` is None for an API key, `api_key_id` for an access token.
    """

    kind: CredentialKind
    user_id: int
    email: str
    username: str | None
    name: str
    surname: str | None
    website: str | None
    user_created_at: float
    user_updated_at: float
    roles: tuple[str, ...]
    scopes: frozenset[str]
    session_id: UUID | None
    api_key_id: UUID | None
    client_id: str | None
    issued_at: float
    expires_at: float | None

    @property
    def actor(self) -> str:
        """How the audit log names the caller."""
        return f"user:{self.user_id}"


def from_credential(kind: CredentialKind, found: LiveCredential) -> Identity:
    """The identity that a row of the lookup stands for."""
    is_session = kind is CredentialKind.ACCESS_TOKEN
    scopes_of = permissions.session_scopes if is_session else permissions.api_key_scopes
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
        roles=permissions.parse_grants(found.grants)[0],
        scopes=scopes_of(found.scopes, found.grants),
        session_id=UUID(found.session_id) if found.session_id else None,
        api_key_id=None if is_session else UUID(str(found.credential_id)),
        client_id=found.client_id,
        issued_at=found.issued_at,
        expires_at=found.expires_at,
    )
