"""Bodies about sessions."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict

from schemas.base import Schema
from schemas.factors import GivenFactor
from schemas.text import Password


class SessionConfirm(GivenFactor):
    """The password of the user, who is logged in, or their second factor if they have one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"password": "correct horse battery staple"}, {"code": "492039"}]
        },
    )

    password: Password | None = None
    """The current password."""

    @classmethod
    def alternatives(cls) -> tuple[str, ...]:
        """The password is one of them."""
        return ("password", *super().alternatives())


class SessionRead(Schema):
    """One login with one client. Never contains a token."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0b9ad1f6-2f1c-4c7e-9c3f-5f2f1f0a6a51",
                    "client_id": "Ada's phone",
                    "ip": "192.0.2.7",
                    "user_agent": "Mozilla/5.0 (Android 16; Mobile)",
                    "created_at": "2026-11-21T09:30:00Z",
                    "last_used_at": "2026-11-21T10:12:00Z",
                    "expires_at": "2026-12-21T09:30:00Z",
                    "current": True,
                }
            ]
        },
    )

    id: UUID
    """The id of the session, which is no secret."""

    client_id: str | None
    """The label that the client chose, if any."""

    ip: str | None
    """The IP address of the login."""

    user_agent: str | None
    """The `User-Agent` of the login."""

    created_at: datetime
    """When the user logged in."""

    last_used_at: datetime
    """When it was last used, to about a minute."""

    expires_at: datetime
    """When it ends at the latest, however often it is refreshed."""

    current: bool = False
    """Whether it is the session of this request."""


class SessionsEnded(Schema):
    """How many sessions were revoked."""

    ended: int
    """How many."""
