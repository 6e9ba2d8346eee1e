"""Bodies about registered clients, and about the applications of a user."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from database import limits
from schemas.base import Schema
from schemas.text import Name, Printable, Scopes

GrantName = Literal[
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "client_credentials",
    "password",
]
ClientId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.MAX_CLIENT_ID_LENGTH),
    # Only described here: the rule is in authentication/clients/registration.py.
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"}),
    Printable,
]
RedirectUri = Annotated[str, StringConstraints(max_length=limits.MAX_TEXT_LENGTH), Printable]
ScopeName = Annotated[str, StringConstraints(min_length=1, max_length=100), Printable]
Seconds = Annotated[int, Field(ge=0, le=3650 * 86_400)]

_EXAMPLE: dict[str, Any] = {
    "id": "calendar",
    "name": "Calendar",
    "redirect_uris": ["https://calendar.example.org/callback"],
    "scopes": ["account"],
    "grants": ["authorization_code", "refresh_token"],
}


class _Given(Schema):
    """What can be given when a client is registered, and changed after that."""

    model_config = ConfigDict(extra="forbid")

    redirect_uris: list[RedirectUri] | None = Field(None, max_length=20)
    """Where answers may go: exactly these addresses, but for the port of a loopback address."""

    scopes: list[ScopeName] | None = Field(None, max_length=limits.MAX_SCOPES)
    """What it may ask for, and gets if it names no scopes."""

    grants: list[GrantName] | None = Field(None, max_length=5)
    """How it may get tokens."""

    is_first_party: bool | None = None
    """Whether users are not asked for consent, because the application is your own."""

    account_id: Annotated[int, Field(ge=0, le=limits.MAX_ID)] | None = None
    """The user for whom the grant `client_credentials` acts; 0: none."""

    access_token_seconds: Seconds | None = None
    """The lifetime of its access tokens; 0: as the settings say."""

    refresh_token_seconds: Seconds | None = None
    """The lifetime of its refresh tokens; 0: as the settings say."""

    session_seconds: Seconds | None = None
    """The longest lifetime of its sessions; 0: as the settings say."""


class ClientCreate(_Given):
    """A client to register."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE, "is_confidential": True}]}
    )

    id: ClientId | None = None
    """Its id. Default: a random one."""

    name: Name
    """Its name, which users read when they are asked for consent."""

    is_confidential: bool = False
    """Whether it gets a secret. Applications in browsers and on devices cannot keep one."""


class ClientUpdate(_Given):
    """A change of a client. What is absent stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Calendar", "disabled": True}]}
    )

    name: Name | None = None
    """Its name."""

    disabled: bool | None = None
    """Whether it gets no tokens. Disabling a client revokes its sessions."""

    @model_validator(mode="after")
    def _reject_null(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a field cannot be null: leave it out")
        return self


class ClientRead(Schema):
    """A registered client. Never contains a secret."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=True
    )

    id: str
    """Its id, which is public."""

    name: str
    """Its name."""

    redirect_uris: Scopes
    """Where answers may go."""

    scopes: Scopes
    """What it may ask for."""

    grants: Scopes
    """How it may get tokens."""

    is_confidential: bool
    """Whether it has a secret."""

    is_first_party: bool
    """Whether users are not asked for consent."""

    account_id: int | None
    """The user for whom the grant `client_credentials` acts."""

    access_token_seconds: int | None
    """The lifetime of its access tokens; null: as the settings say."""

    refresh_token_seconds: int | None
    """The lifetime of its refresh tokens; null: as the settings say."""

    session_seconds: int | None
    """The longest lifetime of its sessions; null: as the settings say."""

    created_at: datetime
    """When it was registered."""

    disabled_at: datetime | None
    """When it was disabled; null: it is not."""


class ClientCreated(ClientRead):
    """A client that was just registered, or has a new secret."""

    client_secret: str | None = Field(examples=["cfs_7Hq2mV..."])
    """The secret, which is shown only once; null: it has none."""


class ClientPage(Schema):
    """A page of clients."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=True
    )

    items: list[ClientRead]
    """The clients, in the order of their ids."""

    next_cursor: str | None
    """The cursor of the next page; null on the last."""


class SecretRotation(Schema):
    """How a secret is rotated."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=365 * 86_400)] = 86_400
    """How long the secret before works as well."""


class ApplicationRead(Schema):
    """An application that you have allowed something, or that you are logged in with."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "examples": [
                {
                    "client_id": "calendar",
                    "name": "Calendar",
                    "scopes": ["account"],
                    "granted_at": "2026-11-26T09:30:00Z",
                    "live_sessions": 2,
                    "last_used_at": "2026-11-26T10:12:00Z",
                }
            ]
        },
    )

    client_id: str
    """The id of the client."""

    name: str
    """Its name."""

    scopes: Scopes | None
    """What you have allowed it; null: you were not asked, as it belongs to this service."""

    granted_at: datetime | None
    """When you last did."""

    live_sessions: int
    """How many sessions of yours it has."""

    last_used_at: datetime | None
    """When one of them was last used, to about a minute."""
