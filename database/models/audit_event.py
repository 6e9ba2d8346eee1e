"""Audit events: what happened, who did it, to whom, and from which address."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, BigId, UTCDateTime


class AuditEvent(Base):
    """Append-only and without foreign keys, because an event outlives the rows that it names.

    `actor` and `subject` are written as "user:42", "session:UUID", "command" or "anonymous".
    """

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now(), index=True)
    event: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(400))
    subject: Mapped[str | None] = mapped_column(String(400))
    ip: Mapped[str | None] = mapped_column(String(limits.MAX_IP_LENGTH))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")

    __table_args__ = (
        Index(None, event, at),
        Index(None, actor, at),
        Index(None, subject, at),
        Index(None, ip, at),
    )
