"""Bodies about API keys."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from database import limits
from schemas.base import Schema
from schemas.text import Name, Scopes

# The characters that RFC 6749, 3.3 allows.
ScopeName = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$")
]
Days = Annotated[int, Field(ge=1, le=limits.MAX_API_KEY_DAYS, strict=True)]


class ApiKeyCreate(Schema):
    """Unknown fields are rejected: a misspelt `scopes` would give the key all scopes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "Nightly report", "scopes": ["introspect"], "expires_in_days": 90}
            ]
        },
    )

    name: Name
    """What its owner calls the key."""

    scopes: Annotated[list[ScopeName], Field(max_length=100)] | None = Field(
        None,
        description="Default, and null: all scopes of the caller's token but `account`. With "
        "`rotate` the key can rotate itself, whatever the roles grant.",
    )
    expires_in_days: Days | None = Field(
        None,
        description="Default, and maximum: as the settings say. "
        "null: the key never expires, if the settings allow it.",
    )

    requests_per_minute: Annotated[int, Field(ge=1, le=limits.MAX_ID, strict=True)] | None = Field(
        None,
        description="How many requests with the key each worker of the service accepts in a "
        "minute; past that the answer is 429. Default, and null: any number.",
    )

    @property
    def never_expires(self) -> bool:
        """Whether null was sent, which is not the same as nothing."""
        return self.expires_in_days is None and "expires_in_days" in self.model_fields_set


class ApiKeyRotate(Schema):
    """The body may be omitted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    overlap_seconds: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        None,
        description="How long the old key keeps working: at most, and by default, as long as the "
        "settings say. 0: it is revoked at once.",
    )


class ApiKeyRead(Schema):
    """A key as its owner sees it. Never contains the key itself."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    """The id of the key, which is no secret."""

    name: str
    """What its owner calls it."""

    hint: str = Field(description="The last characters of the key.")
    scopes: Scopes | None = Field(
        description="What the key was given; at each request, its scopes are limited to what the "
        "roles of its owner grant. null: all that the roles grant."
    )
    created_at: datetime
    """When it was created."""

    expires_at: datetime | None
    """When it expires; null: never."""

    last_used_at: datetime | None
    """When it was last used, to about a minute."""

    replaced_at: datetime | None = Field(
        description="When it was rotated. It works next to its successor until it expires."
    )

    requests_per_minute: int | None
    """How many requests each worker accepts in a minute; null: any number."""


class ApiKeyUses(Schema):
    """How often a key was used on a day."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    """A day of UTC."""

    uses: int = Field(
        description="Requests, to a few seconds. Those that were rejected for the limit count too."
    )


class CurrentApiKey(ApiKeyRead):
    """What an API key may know of itself."""

    user_id: int
    """The user for whom it acts."""

    usable_scopes: list[str] = Field(
        description="What it may do at this moment: its scopes, as far as the roles of its owner "
        "grant them. `rotate` is none of these."
    )
    uses: list[ApiKeyUses]
    """The last 30 days on which it was used, newest first."""


class ApiKeyCreated(ApiKeyRead):
    """The only response that shows the key."""

    key: str = Field(examples=["cfk_7mQ2Lx..."])
    """The key. It is shown only once."""
