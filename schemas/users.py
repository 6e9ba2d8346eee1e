"""Bodies about accounts."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, StrictBool

from schemas.base import Schema
from schemas.text import Email, LongText, Name, Password, ShortText, Username


class UserCreate(Schema):
    """`full_name` is accepted in place of `name`, because some tutorials use it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "email": "ada@example.org",
                    "password": "correct horse battery staple",
                    "name": "Ada",
                    "surname": "Lovelace",
                    "username": "ada",
                }
            ]
        },
    )

    email: Email
    """The e-mail address, which must not belong to another account."""

    password: Password
    """The password."""

    name: Name = Field(validation_alias=AliasChoices("name", "full_name"))
    """The first name, or the whole name."""

    surname: ShortText | None = None
    """The surname."""

    username: Username | None = None
    """A name to log in with, in place of the e-mail address."""

    website: LongText | None = None
    """The address of a page."""


class UserUpdate(Schema):
    """Omitted fields do not change. A new e-mail address requires the current password."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"surname": "King", "website": "https://ada.example.org"},
                {
                    "email": "countess@example.org",
                    "current_password": "correct horse battery staple",
                },
            ]
        },
    )

    name: Name | None = None
    """The first name, or the whole name."""

    surname: ShortText | None = None
    """The surname; null removes it."""

    username: Username | None = None
    """A name to log in with; null removes it."""

    website: LongText | None = None
    """The address of a page; null removes it."""

    email: Email | None = None
    """The e-mail address."""

    current_password: Password | None = None
    """Required for a new e-mail address."""


class PasswordChange(Schema):
    """Revokes every other session, and every API key unless `end_api_keys` is false.

    Unknown fields are rejected: with a misspelt `end_api_keys` the keys would be revoked.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "current_password": "correct horse battery staple",
                    "new_password": "a bernoulli number by engine",
                }
            ]
        },
    )

    current_password: Password
    """The password until now."""

    new_password: Password
    """The password from now on."""

    end_api_keys: StrictBool = True
    """Whether to revoke the API keys as well."""


def _names(roles: Iterable[object]) -> list[object]:
    """The names of roles. An identity has names, a stored user has rows."""
    return [getattr(role, "name", role) for role in roles]


RoleNames = Annotated[list[str], BeforeValidator(_names)]


class Profile(Schema):
    """The common fields of an account, made from a stored user or from an identity.

    Only the `id` says who it is: users choose the names themselves, and can change them.
    """

    model_config = ConfigDict(from_attributes=True)

    # The name in an identity, and the name in a stored user.
    id: int = Field(validation_alias=AliasChoices("user_id", "id"))
    """The id of the user, which alone says who it is."""

    email: str
    """The e-mail address, for display."""

    username: str | None
    """The username, if the user has one."""

    name: str
    """The first name, or the whole name."""

    surname: str | None
    """The surname."""

    website: str | None
    """The address of a page."""


class UserRead(Profile):
    """An account as its owner sees it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 42,
                    "email": "ada@example.org",
                    "username": "ada",
                    "name": "Ada",
                    "surname": "Lovelace",
                    "website": "https://ada.example.org",
                    "roles": ["user"],
                    "created_at": "2026-11-21T09:30:00Z",
                    "updated_at": "2026-11-21T09:30:00Z",
                }
            ]
        }
    )

    # Those of the account: the credential itself may be restricted to fewer.
    roles: RoleNames = Field(validation_alias=AliasChoices("user_roles", "roles"))
    """The roles of the account."""

    created_at: datetime = Field(validation_alias=AliasChoices("user_created_at", "created_at"))
    """When the account was created."""

    updated_at: datetime = Field(validation_alias=AliasChoices("user_updated_at", "updated_at"))
    """When it was last changed."""


class UserWithPendingEmail(UserRead):
    """An account after a change, where a new e-mail address has to be confirmed."""

    pending_email: str | None
    """What becomes the e-mail address once a mail to it is confirmed."""
