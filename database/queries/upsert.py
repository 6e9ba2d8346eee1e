"""Provides INSERT ... ON CONFLICT, for which SQLAlchemy has one construct per database."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(db: Session, model: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """The INSERT construct of the database in use. Both have the same methods."""
    return insert_for(dialect_of(db), model)


def insert_for(dialect: str, into: type[Any] | Table) -> postgresql.Insert | sqlite.Insert:
    """The INSERT construct of a database by the name of its dialect."""
    return sqlite.insert(into) if dialect == "sqlite" else postgresql.insert(into)


def dialect_of(db: Session) -> str:
    """The name of the dialect of the database in use."""
    return db.get_bind().dialect.name
