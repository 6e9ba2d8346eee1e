"""Appends audit events."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from database.models import AuditEvent


def append(
    session: Session,
    *,
    event: str,
    actor: str,
    subject: str | None,
    ip: str | None,
    detail: dict[str, Any],
) -> None:
    """Add one event at the end of the log."""
    session.execute(
        insert(AuditEvent).values(event=event, actor=actor, subject=subject, ip=ip, detail=detail)
    )
