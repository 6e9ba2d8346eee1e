"""Writes many rows at a time, for filling a database that is empty."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, exists, insert, select
from sqlalchemy.orm import Session

from database.base import Base
from database.models import AuditEvent, User

Rows = Sequence[Mapping[str, Any]]


def is_empty(db: Session) -> bool:
    """Whether there is no user, and no trace of one."""
    return not db.scalar(select(exists(select(User.id)) | exists(select(AuditEvent.id))))


def insert_rows(db: Session, target: type[Base] | Table, rows: Rows) -> None:
    """Insert all of them."""
    if rows:
        db.execute(insert(target), rows)


def insert_numbered(db: Session, model: Any, rows: Rows) -> Sequence[int]:
    """Insert all of them. Returns the ids that the database gave them, in their order."""
    if not rows:
        return []
    statement = insert(model).returning(model.id, sort_by_parameter_order=True)
    return db.scalars(statement, rows).all()
