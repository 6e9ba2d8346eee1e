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
                    "auth_time": 1795302000,
                    "acr": "aal2",
                    "amr": ["mfa", "otp", "pwd"],
                    "kind": "access_token",
                    "email": "ada@example.org",
                    "preferred_username": "ada",
                    "name": "Ada",
                    "roles": ["moderator", "user"],
                    "user_roles": ["moderator", "user"],
                    "user_created_at": 1795215600.25,
                    "user_updated_at": 1795215600.25,
                    "access_token_id": 17,
                    "issued_at": 1795302000.5,
                    "expires_at": 1795305600.5,
                    "confirmed_at": 1795302000.5,
                    "second_factor_at": 1795302000.5,
                    "looked_up_at": 1795303800.75,
                },
                {"active": False},
            ]
        }
    )

    active: bool
    """Whether the token is live at this moment."""

    scope: str | None = Field(None, description="The scopes that it has at this moment.")
    client_id: str | None = Field(
        None, description="The registered client, or the label that the client chose."
    )
    username: str | None = Field(
        None, description="The username, or else the e-mail address, for display: see `sub`."
    )
    token_type: Literal["Bearer"] | None = Field(
        None, description="How it is sent. Absent if it was in a cookie."
    )

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
    auth_time: int | None = Field(
        None, description="`confirmed_at` in whole seconds, as RFC 9470 has it."
    )
    acr: Literal["aal1", "aal2"] | None = Field(
        None,
        description="`aal2` if a second factor was given in the session. Absent for an API key.",
    )
    amr: list[str] | None = Field(
        None, description="What was given in the session (RFC 8176). Absent for an API key."
    )
    kind: Literal["access_token", "api_key"] | None = Field(
        None, description="Of which kind the token is."
    )
    email: str | None = Field(None, description="The e-mail address, which is not verified.")
    preferred_username: str | None = Field(None, description="The username. Absent without one.")
    name: str | None = Field(None, description="The name, as the user chose it.")
    surname: str | None = Field(None, description="The surname. Absent without one.")
    website: str | None = Field(None, description="The website. Absent without one.")
    roles: list[str] | None = Field(None, description="The roles that the token may use.")
    user_roles: list[str] | None = Field(
        None,
        description="The roles of the user, which a narrowed token or a key may not have. Without"
        " those that require a second factor if none was given in the session.",
    )
    user_created_at: float | None = Field(None, description="Seconds since 1970.")
    user_updated_at: float | None = Field(None, description="Seconds since 1970.")
    access_token_id: int | None = Field(None, description="Absent for an API key.")
    api_key_id: str | None = Field(None, description="Absent for an access token.")
    issued_at: float | None = Field(None, description="`iat` with its fraction.")
    expires_at: float | None = Field(None, description="`exp` with its fraction.")
    confirmed_at: float | None = Field(
        None,
        description="When the user last confirmed who they are in this session, in seconds since"
        " 1970. Absent for an API key.",
    )
    second_factor_at: float | None = Field(
        None,
        description="When that was by a second factor, in seconds since 1970. Absent if it never"
        " was.",
    )
    looked_up_at: float | None = Field(
        None, description="When the database was asked, by its clock, in seconds since 1970."
    )
    session_kind: Literal["browser"] | None = Field(
        None, description="What was asked for, if the token was in a cookie."
    )


class DeviceAuthorizationRead(Schema):
    """RFC 8628, 3.2."""

    device_code: str = Field(examples=["cfd_5Lx2Qv..."])
    """What the device asks for its tokens with."""

    user_code: str = Field(examples=["WDJB-MJHT"])
    """What the user types. Case and dashes do not matter."""

    verification_uri: str
    """Where the user types it."""

    verification_uri_complete: str
    """The same with the code in it, for a QR code."""

    expires_in: int
    """Seconds until both codes expire."""

    interval: int
    """How many seconds the device has to wait between two requests."""


class ServerMetadata(Schema):
    """RFC 8414, 2."""

    issuer: str
    """The public URL of the service."""

    authorization_endpoint: str | None = None
    """Where clients send their users. Absent if there are no pages for them."""

    token_endpoint: str
    """The URL of `POST /token`."""

    token_endpoint_auth_methods_supported: list[str]
    """How clients authenticate there; with `none` if they are public."""

    device_authorization_endpoint: str | None = None
    """The URL of `POST /device_authorization`. Absent if there are no pages for users."""

    introspection_endpoint: str
    """The URL of `POST /introspect`."""

    introspection_endpoint_auth_methods_supported: list[str]
    """How callers authenticate there."""

    revocation_endpoint: str
    """The URL of `POST /revoke`."""

    revocation_endpoint_auth_methods_supported: list[str]
    """How clients authenticate there; with `none`, anyone who holds a token may revoke it."""

    grant_types_supported: list[str]
    """The grant types that `POST /token` takes."""

    response_types_supported: list[str]
    """What an authorization request may ask for."""

    response_modes_supported: list[str]
    """How the answer comes back."""

    code_challenge_methods_supported: list[str]
    """PKCE is demanded of every client, and `plain` is rejected."""

    authorization_response_iss_parameter_supported: bool
    """Answers name the issuer (RFC 9207)."""

    scopes_supported: list[str]
    """The scopes of the service itself."""
