"""Tells whether the tables are at the newest migration, without alembic.

Every worker asks at its start, and importing alembic would take a fifth of that and 8 MB.
"""

import re
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from database import version_table
from database.engine import engines
from database.errors import NewerTables
from database.settings import parse_url

_VERSIONS = Path(__file__).resolve().parent.parent / "alembic" / "versions"
_REVISION = re.compile(r'^(down_)?revision = "(.+)"$', re.MULTILINE)


def is_current(url: str, engine: Engine | None = None) -> bool:
    """Waits for no lock, changes nothing, observes a deadline. Connects by `engine` if it is given.

    Raises NewerTables, UnsuitableDatabase, DatabaseUnavailable, and what SQLAlchemy raises.
    """
    if engine is None:
        engine = engines.create_single(parse_url(url))
    with engine.execution_options(read_only=True).connect() as connection:
        engines.begin(connection)
        engines.reject_unsuitable(connection)
        found = version_table.read(connection)
    existing, followed = _migrations()
    if not existing.issuperset(found):
        raise NewerTables
    return found == existing - followed


def newest() -> str:
    """The migration that no other one follows."""
    existing, followed = _migrations()
    (last,) = existing - followed
    return last


def known() -> set[str]:
    """The names of all migrations."""
    return _migrations()[0]


@cache
def _migrations() -> tuple[set[str], set[str]]:
    """All of them, and those that another one follows."""
    files = "\n".join(path.read_text() for path in _VERSIONS.glob("*.py"))
    named: list[tuple[str, str]] = _REVISION.findall(files)
    return {name for down, name in named if not down}, {name for down, name in named if down}
