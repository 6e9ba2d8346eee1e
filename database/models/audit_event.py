"""An audit event: what happened, by whom, to whom and from where."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database import clock
from database.base import Base, BigId, UTCDateTime


class AuditEvent(Base):
    """Only ever appended, and without foreign keys: an event outlives what it names.

    `actor` and `subject` say who, such as "user:42", "session:UUID", "command", "anonymous".
    """

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now(), index=True)
    event: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(400))
    subject: Mapped[str | None] = mapped_column(String(400))
    ip: Mapped[str | None] = mapped_column(String(45))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")

    __table_args__ = (
        Index(None, event, at),
        Index(None, actor, at),
        Index(None, subject, at),
        Index(None, ip, at),
    )
