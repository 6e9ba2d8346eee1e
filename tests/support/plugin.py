"""A pytest plugin: one PostgreSQL for all workers of a run, and how services are started."""

import os
from zlib import crc32

import pytest
from coverage import Coverage

from harness.postgresql import DatabaseServer, PostgreSQL, PostgreSQLMissing
from harness.preloaded import Preloaded
from harness.server import Server
from tests.support import reused

_LONGEST = {
    "test_conformance.py",
    "test_documentation.py",
    "test_in_a_browser.py",
    "test_scenarios.py",
}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the server before the workers, which inherit its address in the environment."""
    reused.share()
    _interrupt_less()
    if "TEST_DATABASE_URL" in os.environ or session.config.option.collectonly:
        return
    try:
        # Statistics of what another test left behind would decide how a statement is run.
        server = PostgreSQL.launch(options={"autovacuum": "off"})
    except PostgreSQLMissing as error:
        raise pytest.UsageError(str(error)) from None
    session.config.add_cleanup(lambda: _end(server))
    os.environ["TEST_DATABASE_URL"] = server.url("postgres")


def _interrupt_less() -> None:
    """Let a process that computes go on when another wakes up, here and in all that is started.

    More processes are ready than there are cores. In a comparison by turns, without so many
    switches between them a third of the tests took 0.93 of the processor time.
    """
    # Linux alone has it.
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _end(server: PostgreSQL) -> None:
    del os.environ["TEST_DATABASE_URL"]
    server.close()


def pytest_configure() -> None:
    """Start services as copies of a process that has imported everything.

    Those of which the coverage is measured are started by themselves, as it begins with a process.
    """
    if Coverage.current() is None:
        Server.preloaded = Preloaded()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what takes longest first, and what is marked `one_database` on one of the two databases.

    The mark is for what is done before or after the database is asked, such as the form of
    requests: some run on the one, some on the other.
    `both_databases` takes a test out of a module that is marked.
    """
    # With what takes longest at the end, the other workers would have nothing to do meanwhile.
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    dropped = [item for item in items if _needs_one(item) and _is_for_other(item)]
    if dropped:
        items[:] = [item for item in items if item not in set(dropped)]
        config.hook.pytest_deselected(items=list(dropped))


def _needs_one(item: pytest.Item) -> bool:
    both = item.get_closest_marker("both_databases")
    return both is None and item.get_closest_marker("one_database") is not None


def _is_for_other(item: pytest.Item) -> bool:
    if any("database_url" in mark.args[0] for mark in item.iter_markers("parametrize")):
        # It names its databases, of which there may be only one.
        return False
    database = item.callspec.params.get("database_url") if hasattr(item, "callspec") else None
    test = item.nodeid.replace("sqlite", "").replace("postgresql", "")
    return database is not None and database != ("sqlite", "postgresql")[crc32(test.encode()) % 2]


def pytest_sessionfinish() -> None:
    """Keep what has been measured: xdist kills a worker that takes ten seconds to end."""
    if measurement := Coverage.current():
        measurement.save()


@pytest.fixture(scope="session")
def postgresql() -> DatabaseServer:
    """The server. All workers share it, so databases must have unique names."""
    return DatabaseServer(os.environ["TEST_DATABASE_URL"])
