"""Bodies about API keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.text import Name

# The characters that RFC 6749, 3.3 allows.
ScopeName = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$")
]


class ApiKeyCreate(BaseModel):
    """What is misspelt is refused: a list of scopes that is overlooked would give the key all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "Nightly report", "scopes": ["introspect"], "expires_in_days": 90}
            ]
        },
    )

    name: Name
    scopes: Annotated[list[ScopeName], Field(max_length=100)] | None = Field(
        None, description="Left out or null: all that the token has by which the key is made."
    )
    expires_in_days: Annotated[int, Field(ge=1, le=3650, strict=True)] | None = Field(
        None, description="Left out: as long as the settings say. null: without an end."
    )

    @property
    def never_expires(self) -> bool:
        """Whether null was sent, which is not the same as nothing."""
        return self.expires_in_days is None and "expires_in_days" in self.model_fields_set


class ApiKeyRotate(BaseModel):
    """May be left out altogether."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    overlap_seconds: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        None,
        description="How long the old key works on: at most as long as the settings say, "
        "and so long if it is left out. 0: not at all.",
    )


class ApiKeyRead(BaseModel):
    """A key as its owner sees it. Never holds the key itself."""

    id: UUID
    name: str
    hint: str = Field(description="The last characters of the key.")
    scopes: list[str] | None = Field(
        description="What the key was given; what it may do is cut to the owner's roles at each "
        "request. null: all that the roles give."
    )
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    replaced_at: datetime | None = Field(
        description="Since when it has a successor, beside which it works until it expires."
    )


class ApiKeyCreated(ApiKeyRead):
    """The one answer that shows the key."""

    key: str = Field(examples=["cfk_7mQ2Lx..."])
