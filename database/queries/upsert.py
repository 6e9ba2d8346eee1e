"""Provides INSERT ... ON CONFLICT, for which SQLAlchemy has one construct per database."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(db: Session, model: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """The INSERT construct of the database in use. Both have the same methods."""
    is_sqlite = db.get_bind().dialect.name == "sqlite"
    return sqlite.insert(model) if is_sqlite else postgresql.insert(model)
