"""A pytest plugin: one PostgreSQL for the whole run, however many workers share it."""

import os

import pytest

from harness.postgresql import DatabaseServer, PostgreSQL, PostgreSQLMissing


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start it before the workers are, which find its address in the environment they inherit."""
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


@pytest.fixture(scope="session")
def postgresql() -> DatabaseServer:
    """Make databases in it under names of your own: other workers are in the same server."""
    return DatabaseServer(os.environ["TEST_DATABASE_URL"])
