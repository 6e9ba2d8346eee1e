"""Appends and reads audit events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from database import keyset
from database.keyset import Position
from database.models import AuditEvent


def append(
    db: Session,
    *,
    event: str,
    actor: str,
    subject: str | None,
    ip: str | None,
    detail: dict[str, Any],
) -> None:
    """Append one event."""
    db.execute(
        insert(AuditEvent).values(event=event, actor=actor, subject=subject, ip=ip, detail=detail)
    )


def append_all(db: Session, events: Sequence[dict[str, Any]]) -> None:
    """Append many events by one statement. Each has the fields that `append` takes."""
    if events:
        db.execute(insert(AuditEvent), events)


def search(
    db: Session,
    *,
    event: str | None = None,
    actor: str | None = None,
    subject: str | None = None,
    ip: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Position | None = None,
    limit: int,
) -> Sequence[tuple[AuditEvent, str]]:
    """Events from `since` (inclusive) to `until` (exclusive), newest first.

    Each comes with its time as stored, for the position of the next page.
    """
    query = select(AuditEvent, keyset.stored(AuditEvent.at))
    filters = (
        (AuditEvent.event, event),
        (AuditEvent.actor, actor),
        (AuditEvent.subject, subject),
        (AuditEvent.ip, ip),
    )
    query = query.where(*(column == value for column, value in filters if value is not None))
    if since is not None:
        query = query.where(AuditEvent.at >= since)
    if until is not None:
        query = query.where(AuditEvent.at < until)
    query = keyset.newest_first(query, AuditEvent.at, AuditEvent.id, after=after)
    return [(found, stored) for found, stored in db.execute(query.limit(limit))]


def can_delete(db: Session) -> bool:
    """Whether the database's role may delete events."""
    return db.get_bind().dialect.name == "sqlite" or can_be_altered(db)


def can_be_altered(db: Session) -> bool:
    """Whether the role may do more to events than append them, where the database has roles."""
    if db.get_bind().dialect.name == "sqlite":
        return False
    return bool(db.scalar(select(func.has_table_privilege(AuditEvent.__tablename__, "DELETE"))))
