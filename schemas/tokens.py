"""Bodies for logging in, and for the tokens that are issued."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from database import limits
from schemas.base import Schema
from schemas.text import Identifier, Password, Scope, ShortText

ClientId = Annotated[str, Field(max_length=limits.MAX_LABEL_LENGTH)]


class Login(Schema):
    """Either `username` or `email`; `username` accepts an e-mail address as well.

    Unknown fields are rejected: a misspelt `scope` would give the token all scopes.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "email": "ada@example.org",
                    "password": "correct horse battery staple",
                    "client_id": "Ada's phone",
                }
            ]
        },
    )

    username: Identifier | None = None
    """The username, or the e-mail address."""

    email: Identifier | None = None
    """The e-mail address."""

    password: Password
    """The password."""

    client_id: ShortText | None = None
    """A label that the client chooses for itself. A refresh has to name the same."""

    scope: Scope | None = None
    """Scopes, separated by spaces. Default: all that the roles of the user grant."""

    @field_validator("client_id")
    @classmethod
    def _empty_is_none(cls, label: str | None) -> str | None:
        # As in a form (RFC 6749, 3.1): a refresh by form could not send an empty one.
        return label or None

    @model_validator(mode="after")
    def _one_identifier(self) -> Self:
        if (self.username is None) == (self.email is None):
            raise ValueError("send either username or email")
        return self

    @property
    def identifier(self) -> str:
        """The username or e-mail address that was sent."""
        return self.email or self.username or ""


# Forms are only described here, and read by api/request/forms.py.
class PasswordGrant(Schema):
    """The form of a login (RFC 6749, 4.3.2)."""

    # FastAPI's own form leaves it out, and is taken for a login.
    grant_type: Literal["password"] = "password"
    """The grant."""

    username: str
    """The username, or the e-mail address."""

    password: Password
    """The password."""

    scope: str | SkipJsonSchema[None] = None
    """Scopes, separated by spaces. Default: all that the roles of the user grant."""

    client_id: ClientId | SkipJsonSchema[None] = None
    """A label that the client chooses for itself. A refresh has to name the same."""


class RefreshTokenGrant(Schema):
    """The form of a refresh (RFC 6749, 6)."""

    grant_type: Literal["refresh_token"]
    """The grant."""

    refresh_token: str
    """The refresh token, which works once."""

    scope: str | SkipJsonSchema[None] = None
    """Scopes for the access token, if it is to have fewer; separated by spaces."""

    client_id: ClientId | SkipJsonSchema[None] = None
    """The label that the login named, if it did."""


class AuthorizationCodeGrant(Schema):
    """The form by which a registered client exchanges a code (RFC 6749, 4.1.3)."""

    grant_type: Literal["authorization_code"]
    """The grant."""

    code: str
    """The code, which works once."""

    redirect_uri: str
    """The same as in the authorization request."""

    code_verifier: str
    """What the challenge was made of (RFC 7636, 4.1)."""

    client_id: ClientId | SkipJsonSchema[None] = None
    """The client, unless it authenticates with HTTP Basic."""

    client_secret: str | SkipJsonSchema[None] = None
    """Its secret, if it has one."""


class DeviceCodeGrant(Schema):
    """The form with which a device asks for its tokens (RFC 8628, 3.4)."""

    grant_type: Literal["urn:ietf:params:oauth:grant-type:device_code"]
    """The grant."""

    device_code: str
    """The code of the device."""

    client_id: ClientId | SkipJsonSchema[None] = None
    """The client, unless it authenticates with HTTP Basic."""

    client_secret: str | SkipJsonSchema[None] = None
    """Its secret, if it has one."""


class ClientCredentialsGrant(Schema):
    """The form with which a client gets a token for its own account (RFC 6749, 4.4.2)."""

    grant_type: Literal["client_credentials"]
    """The grant."""

    scope: str | SkipJsonSchema[None] = None
    """Scopes, separated by spaces. Default: all that the client and its account have."""

    client_id: ClientId | SkipJsonSchema[None] = None
    """The client, unless it authenticates with HTTP Basic."""

    client_secret: str | SkipJsonSchema[None] = None
    """Its secret."""


class AccessTokenRead(Schema):
    """RFC 6749, 5.1. The token is shown only once. There is nothing to refresh it with."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    access_token: str = Field(examples=["cfa_3nq5RZ..."])
    """Sent with each request as `Authorization: Bearer`."""

    token_type: Literal["bearer"] = "bearer"
    """How it is sent."""

    expires_in: int = Field(description="Seconds until the access token expires.", examples=[3600])
    scope: str = Field(
        description="The scopes of the access token, separated by spaces.", examples=["account"]
    )


class TokenRead(AccessTokenRead):
    """RFC 6749, 5.1. The tokens are shown only once."""

    refresh_token: str = Field(examples=["cfr_9bD1xw..."])
    """Exchanged once for new tokens."""
