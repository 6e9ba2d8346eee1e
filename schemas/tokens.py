"""Bodies for logging in, and for the tokens that are issued."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.text import Identifier, Password, Scope, ShortText


class Login(BaseModel):
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
    email: Identifier | None = None
    password: Password
    client_id: ShortText | None = None
    scope: Scope | None = None

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


class TokenRead(BaseModel):
    """RFC 6749, 5.1. The tokens are shown only once."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    access_token: str = Field(examples=["cfa_3nq5RZ..."])
    token_type: Literal["bearer"] = "bearer"
    expires_in: int = Field(description="Seconds until the access token expires.", examples=[3600])
    refresh_token: str = Field(examples=["cfr_9bD1xw..."])
    scope: str = Field(
        description="The scopes of the access token, separated by spaces.", examples=["account"]
    )
