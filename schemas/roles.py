"""Bodies about roles."""

from typing import Annotated

from pydantic import ConfigDict, Field, StrictBool

from database import limits
from schemas.base import Schema
from schemas.text import LongText, Name, Scope, Scopes


class RoleCreate(Schema):
    """A role that nobody has yet."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "support", "description": "Reads orders", "scopes": "orders:read"}
            ]
        },
    )

    name: Annotated[
        Name,
        # Only described here: the rule is in authentication/accounts/roles.py.
        Field(
            json_schema_extra={
                "pattern": f"^{limits.ROLE_PATTERN}$",
                "maxLength": limits.MAX_ROLE_LENGTH,
            }
        ),
    ]
    """Its name, which cannot be changed."""

    description: LongText = ""
    """What it is for."""

    scopes: Scope = Field("", description="The scopes that it grants, separated by spaces.")
    requires_second_factor: StrictBool = False
    """Whether it gives nothing to a session in which no second factor was given."""


class RoleUpdate(Schema):
    """Omitted fields do not change."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"scopes": "orders:read orders:write"}]}
    )

    description: LongText | None = None
    """What it is for."""

    scopes: Scope | None = Field(None, description="All scopes that it is to grant.")
    requires_second_factor: StrictBool | None = None
    """Whether it gives nothing to a session in which no second factor was given."""


class RoleRead(Schema):
    """A role and the scopes that it grants."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    """The name of the role."""

    description: str
    """What it is for."""

    scopes: Scopes
    """The scopes that it grants."""

    requires_second_factor: bool
    """Whether it gives nothing to a session in which no second factor was given."""


class RoleWithUsers(RoleRead):
    """A role and how many have it: `GET /admin/users?role=NAME` lists them."""

    users: int
    """The number of users who have it."""
