"""Databases for tests of migrations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.postgresql import DatabaseServer


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql: DatabaseServer, worker_id: str
) -> Iterator[str]:
    """A database that no migration has touched."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    name = f"migrations_{worker_id}"
    postgresql.drop_database(name)
    yield postgresql.create_database(name)
    postgresql.drop_database(name)
