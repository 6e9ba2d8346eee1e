"""The body of a session that is kept in a cookie."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from schemas.users import UserRead

SortedScopes = Annotated[list[str], BeforeValidator(sorted)]


class BrowserSessionRead(UserRead):
    """Who is logged in. Never contains a token."""

    scopes: SortedScopes
    """What the session may do at this moment."""

    session_id: UUID
    """The id of the session, which is no secret."""

    expires_at: datetime
    """When the session ends if it is not used until then."""

    confirmed_at: datetime | None = Field(examples=["2026-11-21T09:30:00Z"])
    """When the user last confirmed who they are."""
