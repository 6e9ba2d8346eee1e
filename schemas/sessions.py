"""Bodies about sessions."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class SessionRead(BaseModel):
    """One login on one client. Never holds a token."""

    id: UUID
    client_id: str | None
    ip: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool = False


class SessionsEnded(BaseModel):
    """How many sessions were ended."""

    ended: int
