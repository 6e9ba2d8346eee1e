"""Bodies of the OAuth endpoints other than the token endpoint."""

from typing import Literal

from pydantic import ConfigDict, Field

from schemas.base import Schema


class Introspection(Schema):
    """RFC 7662, 2.2. For a token that is not live there is only `active`, and no reason."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "active": True,
                    "scope": "account moderate",
                    "client_id": "Ada's phone",
                    "username": "ada",
                    "token_type": "Bearer",
                    "exp": 1795305600,
                    "iat": 1795302000,
                    "sub": "42",
                    "iss": "https://auth.example.org",
                    "sid": "0b9c6f0e-7b0e-4a52-9d8f-0a4f2b1c3d5e",
                },
                {"active": False},
            ]
        }
    )

    active: bool
    """Whether the token is live at this moment."""

    scope: str | None = Field(None, description="The scopes that it has at this moment.")
    client_id: str | None = Field(None, description="The label that the client chose, if any.")
    username: str | None = Field(
        None, description="The username, or else the e-mail address, for display: see `sub`."
    )
    token_type: Literal["Bearer"] | None = None
    """How it is sent."""

    exp: int | None = Field(None, description="Seconds since 1970. Absent if it never expires.")
    iat: int | None = Field(None, description="Seconds since 1970.")
    sub: str | None = Field(
        None,
        description="The id of the user, which alone says who it is: names are chosen by users,"
        " are not verified, and can change.",
    )
    iss: str | None = None
    """The issuer."""

    sid: str | None = Field(None, description="The id of the session. Absent for an API key.")


class ServerMetadata(Schema):
    """RFC 8414, 2."""

    issuer: str
    """The public URL of the service."""

    token_endpoint: str
    """The URL of `POST /token`."""

    token_endpoint_auth_methods_supported: list[str]
    """How clients authenticate there: not at all."""

    introspection_endpoint: str
    """The URL of `POST /introspect`."""

    introspection_endpoint_auth_methods_supported: list[str]
    """How callers authenticate there."""

    revocation_endpoint: str
    """The URL of `POST /revoke`."""

    revocation_endpoint_auth_methods_supported: list[str]
    """How callers authenticate there: not at all."""

    grant_types_supported: list[str]
    """The grant types that `POST /token` takes."""

    response_types_supported: list[str]
    """Empty: there is no authorization endpoint."""

    scopes_supported: list[str]
    """The scopes of the service itself."""
