"""A pytest plugin that starts one PostgreSQL server for all workers of a run."""

import os

import pytest
from coverage import Coverage

from harness.postgresql import DatabaseServer, PostgreSQL, PostgreSQLMissing


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the server before the workers, which inherit its address in the environment."""
    if "TEST_DATABASE_URL" in os.environ or session.config.option.collectonly:
        return
    try:
        server = PostgreSQL.launch()
    except PostgreSQLMissing as error:
        raise pytest.UsageError(str(error)) from None
    session.config.add_cleanup(lambda: _end(server))
    os.environ["TEST_DATABASE_URL"] = server.url("postgres")


def _end(server: PostgreSQL) -> None:
    del os.environ["TEST_DATABASE_URL"]
    server.close()


def pytest_sessionfinish() -> None:
    """Keep what has been measured: xdist kills a worker that takes ten seconds to end."""
    if measurement := Coverage.current():
        measurement.save()


@pytest.fixture(scope="session")
def postgresql() -> DatabaseServer:
    """The server. All workers share it, so databases must have unique names."""
    return DatabaseServer(os.environ["TEST_DATABASE_URL"])
