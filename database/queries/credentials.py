"""Finds what access tokens and API keys stand for, by one joined query for any number of them."""

from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    String,
    Uuid,
    cast,
    func,
    literal_column,
    null,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from database import clock
from database.models import AccessToken, ApiKey, LoginSession, Role, User, user_roles
from database.queries import live


class CredentialKind(StrEnum):
    """What a request may carry."""

    ACCESS_TOKEN = "access_token"
    API_KEY = "api_key"


class LiveCredential(NamedTuple):
    """One row of the lookup, the same for both kinds. Times are seconds since 1970."""

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


def live_access_tokens() -> Select[Any]:
    """Every live access token; whoever looks some up restricts the digest."""
    columns = {
        "digest": AccessToken.token_digest,
        "credential_id": AccessToken.id,
        "scopes": AccessToken.scopes,
        "issued_at": clock.epoch_seconds(AccessToken.created_at),
        "expires_at": clock.epoch_seconds(AccessToken.expires_at),
        "last_used_at": clock.epoch_seconds(LoginSession.last_used_at),
        "session_id": LoginSession.id,
        "session_expires_at": clock.epoch_seconds(LoginSession.expires_at),
        "client_id": LoginSession.client_id,
    }
    return (
        _select(columns)
        .join_from(AccessToken, LoginSession, AccessToken.session_id == LoginSession.id)
        .join(User, LoginSession.user_id == User.id)
        .where(live.access_token_is_live())
    )


def live_api_keys() -> Select[Any]:
    """Every live API key; whoever looks some up restricts the digest."""
    columns = {
        "digest": ApiKey.key_digest,
        "credential_id": ApiKey.id,
        "scopes": ApiKey.scopes,
        "issued_at": clock.epoch_seconds(ApiKey.created_at),
        "expires_at": clock.epoch_seconds(ApiKey.expires_at),
        "last_used_at": clock.epoch_seconds(ApiKey.last_used_at),
        "session_id": cast(null(), Uuid),
        "session_expires_at": cast(null(), Float),
        "client_id": cast(null(), String),
    }
    return (
        _select(columns)
        .join_from(ApiKey, User, ApiKey.user_id == User.id)
        .where(live.api_key_is_live())
    )


DIGESTS: dict[CredentialKind, InstrumentedAttribute[bytes]] = {
    CredentialKind.ACCESS_TOKEN: AccessToken.token_digest,
    CredentialKind.API_KEY: ApiKey.key_digest,
}
QUERIES = {
    CredentialKind.ACCESS_TOKEN: live_access_tokens,
    CredentialKind.API_KEY: live_api_keys,
}


def find_live(kind: CredentialKind, restriction: ColumnElement[bool]) -> Select[Any]:
    """The live credentials of one kind whose digest, in DIGESTS, meets the restriction."""
    return QUERIES[kind]().where(restriction)


def _select(credential: dict[str, Any]) -> Select[Any]:
    columns = credential | {
        "user_id": User.id,
        "email": User.email,
        "username": User.username,
        "name": User.name,
        "surname": User.surname,
        "website": User.website,
        "user_created_at": clock.epoch_seconds(User.created_at),
        "user_updated_at": clock.epoch_seconds(User.updated_at),
        "grants": _grants(),
        "looked_up_at": clock.epoch_seconds(clock.now()),
    }
    return select(*(columns[field].label(field) for field in LiveCredential._fields))


def _grants() -> ColumnElement[Any]:
    # Literal, so that the digests are the only parameters of the statement.
    grant = Role.name + literal_column("'='") + Role.scopes
    return (
        select(func.aggregate_strings(grant, ";"))
        .select_from(user_roles.join(Role, Role.id == user_roles.c.role_id))
        .where(user_roles.c.user_id == User.id)
        .correlate(User)
        .scalar_subquery()
    )
