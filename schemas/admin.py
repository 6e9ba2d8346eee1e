"""Bodies and parameters of administration. None of them holds a password, a hash or a token."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from database import limits
from schemas.sessions import SessionRead
from schemas.text import Name, Printable, Scopes
from schemas.users import Profile, RoleNames

T = TypeVar("T")

EVERYTHING = "*"


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _reject_number(value: object) -> object:
    # pydantic takes a bare number for seconds since 1970, which the description does not offer.
    if isinstance(value, str) and ":" not in value:
        raise ValueError("must be a date and a time with a zone (RFC 3339)")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_reject_number), AfterValidator(_in_utc)]
RoleName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.MAX_ROLE_LENGTH, strip_whitespace=True),
    Printable,
]


class Paging(BaseModel):
    """`next_cursor` of one page is the `cursor` of the next."""

    # A filter that is misspelt and ignored would show, or mean, more than was asked for.
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200)


class UserQuery(Paging):
    """Which users to list."""

    q: Name | None = Field(
        None,
        description="Beginnings of words of the e-mail address, username, name or surname.",
        examples=["love"],
    )
    active: bool | None = None
    role: RoleName | None = None


class SessionQuery(Paging):
    """Which live sessions to list."""

    q: Name | None = Field(None, description="The user: as for `/admin/users`.", examples=["love"])
    user_id: int | None = Field(None, ge=1, le=limits.MAX_ID)
    client: Name | None = Field(None, description="The beginning of the label of the client.")
    ip: Name | None = Field(
        None, description="An IP address or its beginning.", examples=["192.0.2."]
    )


class AuditQuery(Paging):
    """Which events to list."""

    event: Name | None = Field(None, examples=["login.failed"])
    actor: Name | None = Field(None, examples=["user:42"])
    subject: Name | None = Field(None, examples=["user:42"])
    ip: Name | None = Field(None, examples=["192.0.2.7"])
    since: Moment | None = None
    until: Moment | None = Field(None, description="Exclusive.")


class Page(BaseModel, Generic[T]):
    """`next_cursor` is null only on the last page, however few items a page has."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    next_cursor: str | None


class AdminUserRead(Profile):
    """An account as administrators see it."""

    is_active: bool
    roles: RoleNames
    created_at: datetime
    updated_at: datetime


class AdminUserUpdate(BaseModel):
    """Omitted fields do not change; `roles` replaces all roles of the user."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"is_active": False}, {"roles": ["moderator", "user"]}]},
    )

    is_active: StrictBool | None = None
    roles: list[RoleName] | None = Field(None, max_length=50)


class AdminSessionRead(SessionRead):
    """A session and its user. Never contains a token."""

    user_id: int
    email: str


class SessionsRevoke(BaseModel):
    """`ids` lists the ids of sessions, or is `["*"]` for the sessions of all users."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"ids": ["6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57"]}, {"ids": ["*"]}]
        },
    )

    ids: list[UUID | Literal["*"]] = Field(min_length=1, max_length=limits.REVOKE_BATCH)
    include_current: StrictBool = Field(
        False, description='Whether `"*"` also revokes the session of the caller.'
    )

    @model_validator(mode="after")
    def _everything_alone(self) -> "SessionsRevoke":
        if EVERYTHING in self.ids and len(self.ids) > 1:
            raise ValueError('"*" must stand alone')
        return self

    @property
    def session_ids(self) -> list[UUID] | None:
        """The ids, or None for everyone's."""
        ids = [one for one in self.ids if isinstance(one, UUID)]
        return ids or None


class SessionsRevoked(BaseModel):
    """Repeat the request while `more` is true."""

    processed: int = Field(description="How many sessions this request has revoked.")
    more: bool


class AuditEventRead(BaseModel):
    """What happened, by whom, to whom and from which IP address."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    event: str = Field(examples=["session.revoked"])
    actor: str = Field(examples=["user:1"])
    subject: str | None = Field(examples=["user:42"])
    ip: str | None = Field(examples=["192.0.2.7"])
    detail: dict[str, Any] = Field(examples=[{"reason": "ended_by_administrator"}])


class RoleRead(BaseModel):
    """A role and the scopes that it grants."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    scopes: Scopes
