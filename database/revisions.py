"""Tells whether the tables are at the newest migration, without alembic.

Every worker asks at its start, and importing alembic would take a fifth of that and 8 MB.
"""

import re
from pathlib import Path

from sqlalchemy import inspect, text

from database.engine import engines
from database.errors import NewerTables
from database.settings import parse_url

_VERSIONS = Path(__file__).resolve().parent.parent / "alembic" / "versions"
_REVISION = re.compile(r'^(down_)?revision = "(.+)"$', re.MULTILINE)


def is_current(url: str) -> bool:
    """Waits for no lock, changes nothing, observes a deadline.

    Raises NewerTables, UnsuitableDatabase, DatabaseUnavailable, and what SQLAlchemy raises.
    """
    engine = engines.create_single(parse_url(url)).execution_options(read_only=True)
    with engine.connect() as connection:
        engines.begin(connection)
        engines.reject_unsuitable(connection)
        if not inspect(connection).has_table("alembic_version"):
            return False
        found = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    known, followed = _migrations()
    if not known.issuperset(found):
        raise NewerTables
    return set(found) == known - followed


def newest() -> str:
    """The migration that no other one follows."""
    known, followed = _migrations()
    (last,) = known - followed
    return last


def _migrations() -> tuple[set[str], set[str]]:
    """All of them, and those that another one follows."""
    files = "\n".join(path.read_text() for path in _VERSIONS.glob("*.py"))
    named: list[tuple[str, str]] = _REVISION.findall(files)
    return {name for down, name in named if not down}, {name for down, name in named if down}
