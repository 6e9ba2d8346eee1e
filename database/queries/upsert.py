"""An INSERT that can end in ON CONFLICT, which SQLAlchemy offers for each database by itself."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(db: Session, model: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """The INSERT of the database that the session is on. Both have the same methods."""
    is_sqlite = db.get_bind().dialect.name == "sqlite"
    return sqlite.insert(model) if is_sqlite else postgresql.insert(model)
