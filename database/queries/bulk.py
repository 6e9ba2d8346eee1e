"""Inserts many rows at a time, to fill an empty database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, exists, insert, select
from sqlalchemy.orm import Session

from database.base import Base
from database.models import AuditEvent, User

Rows = Sequence[Mapping[str, Any]]


def is_empty(db: Session) -> bool:
    """Whether there are neither users nor audit events."""
    return not db.scalar(select(exists(select(User.id)) | exists(select(AuditEvent.id))))


def insert_rows(db: Session, target: type[Base] | Table, rows: Rows) -> None:
    """Insert all rows."""
    if rows:
        db.execute(insert(target), rows)


def insert_numbered(db: Session, model: Any, rows: Rows) -> Sequence[int]:
    """Insert all rows. Returns their generated ids in the same order."""
    if not rows:
        return []
    statement = insert(model).returning(model.id, sort_by_parameter_order=True)
    return db.scalars(statement, rows).all()
