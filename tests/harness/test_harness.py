"""The harness skips nothing silently and leaves no process running."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness import postgresql
from harness.postgresql import PostgreSQLMissing
from harness.programs import require_program
from harness.server import REPOSITORY, Server
from tests.support import plugin

LAUNCH_AND_WAIT = """
from harness.postgresql import PostgreSQL
server = PostgreSQL.launch()
print(server.pid, server.folder, flush=True)
input()
"""


@pytest.fixture
def no_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(postgresql, "_system_folders", lambda: iter(()))
    monkeypatch.setattr(postgresql, "_wheel_folders", lambda: iter(()))


@pytest.mark.usefixtures("no_postgresql")
def test_without_postgresql_the_run_fails_and_says_what_to_install(
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(PostgreSQLMissing, match="install the package postgresql"):
        postgresql.PostgreSQL.launch()
    with pytest.raises(pytest.UsageError, match="TEST_DATABASE_URL"):
        plugin.pytest_sessionstart(request.session)


def test_a_missing_program_skips_its_test_except_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        require_program("no-such-program")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI skips nothing"):
        require_program("no-such-program")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
def test_killing_a_run_stops_its_postgresql() -> None:
    command = [sys.executable, "-c", LAUNCH_AND_WAIT]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        postmaster = psutil.Process(int(pid))
        run.send_signal(signal.SIGKILL)
    _wait_for_end(postmaster)
    subprocess.run(["rm", "-r", folder], check=True)


def _wait_for_end(process: psutil.Process) -> None:
    """In a container without an init process it stays a zombie, which counts as ended."""
    try:
        process.wait(timeout=10)
    except psutil.TimeoutExpired:
        assert process.status() == psutil.STATUS_ZOMBIE


def test_a_service_that_does_not_start_shows_why(tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit('no such setting: COLOUR')")
    with pytest.raises(RuntimeError, match="no such setting: COLOUR"):
        Server.launch(command=[sys.executable, str(program)])
