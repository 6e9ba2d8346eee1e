"""Bodies and parameters of administration. None of them holds a password, a hash or a token."""

from datetime import UTC, datetime
from enum import StrEnum
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
from schemas.base import Parameters, Schema
from schemas.sessions import SessionRead
from schemas.text import Email, LongText, Name, Printable, ShortText, Username
from schemas.users import Profile, RoleNames

T = TypeVar("T")

EVERYTHING = "*"


class UserOrder(StrEnum):
    """The orders of users."""

    NEWEST = "newest"
    OLDEST = "oldest"
    EMAIL = "email"


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


class Paging(Parameters):
    """`next_cursor` of one page is the `cursor` of the next."""

    # A filter that is misspelt and ignored would show, or mean, more than was asked for.
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200)
    """The maximum number of items on the page."""

    cursor: str | None = Field(None, max_length=200)
    """The `next_cursor` of the page before. Without one, the first page is returned."""


class _Filters(Parameters):
    # As of Paging.
    model_config = ConfigDict(extra="forbid")


class UserFilters(_Filters):
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


class UserQuery(UserFilters, Paging):
    """Which users to list, in which order."""

    order: UserOrder = UserOrder.NEWEST
    """Newest first, oldest first, or by e-mail address."""

    with_total: bool = Field(False, description="Whether to count all that match; see `total`.")


class SessionFilters(_Filters):
    """Which live sessions to list."""

    q: Name | None = Field(None, description="The user: as for `/admin/users`.", examples=["love"])
    user_id: int | None = Field(None, ge=1, le=limits.MAX_ID)
    """The id of the user."""

    client: Name | None = Field(None, description="The beginning of the label of the client.")
    ip: Name | None = Field(
        None, description="An IP address or its beginning.", examples=["192.0.2."]
    )


class SessionQuery(SessionFilters, Paging):
    """Which live sessions to list, page by page."""

    with_total: bool = Field(False, description="Whether to count all that match; see `total`.")


class AuditFilters(_Filters):
    """Which events to list."""

    event: Name | None = Field(None, examples=["login.failed"])
    """The name of the event."""

    actor: Name | None = Field(None, examples=["user:42"])
    """Who did it: also the e-mail address of a user."""

    subject: Name | None = Field(None, examples=["user:42"])
    """To whom it was done: also the e-mail address of a user."""

    ip: Name | None = Field(None, examples=["192.0.2.7"])
    """From which IP address."""

    since: Moment | None = None
    """Inclusive."""

    until: Moment | None = Field(None, description="Exclusive.")


class AuditQuery(AuditFilters, Paging):
    """Which events to list, page by page."""


class Page(Schema, Generic[T]):
    """`next_cursor` is null only on the last page, however few items a page has."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T] = Field(description="The items of this page.")
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class AdminUserRead(Profile):
    """An account as administrators see it."""

    is_active: bool
    """Whether the user may log in."""

    has_password: bool
    """Whether the user can log in with a password; service accounts have none."""

    roles: RoleNames
    """The roles of the user."""

    created_at: datetime
    """When the account was created."""

    updated_at: datetime
    """When it was last changed."""


class AdminUserCreate(Schema):
    """An account without a password."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"email": "reports@example.org", "name": "Nightly reports"}]
        },
    )

    email: Email
    """The e-mail address, which must not belong to another account."""

    name: Name
    """The first name, or the whole name, or what a service account is for."""

    surname: ShortText | None = None
    """The surname."""

    username: Username | None = None
    """A name to log in with, in place of the e-mail address."""

    website: LongText | None = None
    """The address of a page."""

    roles: list[RoleName] = Field(["user"], max_length=50)
    """All roles that the user is to have."""


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

    email: Email | None = None
    """Another e-mail address, which is not verified then. Its former owner is not told."""

    name: Name | None = None
    """Another first name, or whole name."""

    surname: ShortText | None = None
    """Another surname; null removes it."""

    username: Username | None = None
    """Another username; null removes it."""

    @property
    def names(self) -> dict[str, str | None]:
        """The names that were sent. null means to remove one that need not be."""
        sent = self.model_fields_set & {"email", "name", "surname", "username"}
        named = {field: getattr(self, field) for field in sorted(sent)}
        return {
            field: value
            for field, value in named.items()
            if value is not None or field in {"surname", "username"}
        }


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


# With names of their own, by which generated clients call them.
class AdminUserPage(Page[AdminUserRead]):
    """A page of users."""

    total: int | None = Field(
        description="With `with_total`: how many users match; null if there are more than 10,000."
    )


class AdminSessionPage(Page[AdminSessionRead]):
    """A page of sessions."""

    total: int | None = Field(
        description="With `with_total`: how many sessions match; null if there are more than "
        "10,000, or if counting them takes long."
    )


class AuditEventPage(Page[AuditEventRead]):
    """A page of events of the audit log."""
