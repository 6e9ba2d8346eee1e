"""Bodies and parameters of administration. None of them holds a password, a hash or a token."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from database import limits
from schemas.base import Schema
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


class Paging(Schema):
    """`next_cursor` of one page is the `cursor` of the next."""

    # A filter that is misspelt and ignored would show, or mean, more than was asked for.
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200)
    """The maximum number of items on the page."""

    cursor: str | None = Field(None, max_length=200)
    """The `next_cursor` of the page before. Without one, the first page is returned."""


class UserQuery(Paging):
    """Which users to list."""

    q: Name | None = Field(
        None,
        description="Beginnings of words of the e-mail address, username, name or surname.",
        examples=["love"],
    )
    active: bool | None = None
    """Whether the users may log in."""

    role: RoleName | None = None
    """A role that the users have."""


class SessionQuery(Paging):
    """Which live sessions to list."""

    q: Name | None = Field(None, description="The user: as for `/admin/users`.", examples=["love"])
    user_id: int | None = Field(None, ge=1, le=limits.MAX_ID)
    """The id of the user."""

    client: Name | None = Field(None, description="The beginning of the label of the client.")
    ip: Name | None = Field(
        None, description="An IP address or its beginning.", examples=["192.0.2."]
    )


class AuditQuery(Paging):
    """Which events to list."""

    event: Name | None = Field(None, examples=["login.failed"])
    """The name of the event."""

    actor: Name | None = Field(None, examples=["user:42"])
    """Who did it."""

    subject: Name | None = Field(None, examples=["user:42"])
    """To whom it was done."""

    ip: Name | None = Field(None, examples=["192.0.2.7"])
    """From which IP address."""

    since: Moment | None = None
    """Inclusive."""

    until: Moment | None = Field(None, description="Exclusive.")


class Page(Schema, Generic[T]):
    """`next_cursor` is null only on the last page, however few items a page has."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    """The items of this page."""

    next_cursor: str | None
    """The `cursor` of the next page; null on the last."""


class AdminUserRead(Profile):
    """An account as administrators see it."""

    is_active: bool
    """Whether the user may log in."""

    roles: RoleNames
    """The roles of the user."""

    created_at: datetime
    """When the account was created."""

    updated_at: datetime
    """When it was last changed."""


class AdminUserUpdate(Schema):
    """Omitted fields do not change; `roles` replaces all roles of the user."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"is_active": False}, {"roles": ["moderator", "user"]}]},
    )

    is_active: StrictBool | None = None
    """Whether the user may log in. `false` also revokes all sessions."""

    roles: list[RoleName] | None = Field(None, max_length=50)
    """All roles that the user is to have."""


class AdminSessionRead(SessionRead):
    """A session and its user. Never contains a token."""

    user_id: int
    """The id of the user."""

    email: str
    """The e-mail address of the user, for display."""


class SessionsRevoke(Schema):
    """`ids` lists the ids of sessions, or is `["*"]` for the sessions of all users."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"ids": ["6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57"]}, {"ids": ["*"]}]
        },
    )

    ids: list[UUID | Literal["*"]] = Field(min_length=1, max_length=limits.REVOKE_BATCH)
    """The ids of sessions, or `["*"]`."""

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


class SessionsRevoked(Schema):
    """Repeat the request while `more` is true."""

    processed: int = Field(description="How many sessions this request has revoked.")
    more: bool
    """Whether there are more sessions to revoke."""


class AuditEventRead(Schema):
    """What happened, by whom, to whom and from which IP address."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    """The id of the event."""

    at: datetime
    """When it happened."""

    event: str = Field(examples=["session.revoked"])
    """What happened."""

    actor: str = Field(examples=["user:1"])
    """Who did it."""

    subject: str | None = Field(examples=["user:42"])
    """To whom it was done, if to anybody."""

    ip: str | None = Field(examples=["192.0.2.7"])
    """The IP address that the request came from."""

    detail: dict[str, Any] = Field(examples=[{"reason": "ended_by_administrator"}])
    """More about it, by its name."""


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


# With names of their own, by which generated clients call them.
class AdminUserPage(Page[AdminUserRead]):
    """A page of users."""


class AdminSessionPage(Page[AdminSessionRead]):
    """A page of sessions."""


class AuditEventPage(Page[AuditEventRead]):
    """A page of events of the audit log."""
