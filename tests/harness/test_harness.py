"""The harness skips nothing silently and leaves no process running."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest

from harness import postgresql
from harness.postgresql import PostgreSQLMissing
from harness.preloaded import Preloaded
from harness.programs import require_program
from harness.server import REPOSITORY, Server
from tests.support import plugin

LAUNCH_AND_WAIT = """
from harness.postgresql import PostgreSQL
server = PostgreSQL.launch()
print(server.pid, server.folder, flush=True)
input()
"""
LAUNCH_COPY_AND_WAIT = """
import sys
from harness.preloaded import Preloaded
from harness.server import Server
Server.preloaded = Preloaded()
print(Server.launch(f"sqlite:///{sys.argv[1]}").pid, flush=True)
input()
"""

ON_ONE_DATABASE = """
import pytest

pytestmark = pytest.mark.one_database
numbers = pytest.mark.parametrize("number", range(20))

@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    return request.param

@numbers
def test_by_turns(database_url, number):
    pass

@numbers
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_named(database_url, number):
    pass
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


@pytest.fixture
def preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run that measures no coverage."""
    monkeypatch.setattr(Server, "preloaded", Server.preloaded or Preloaded())


@pytest.mark.usefixtures("preloaded")
def test_copies_of_a_preloaded_service_have_settings_logs_and_ends_of_their_own(
    tmp_path: Path,
) -> None:
    with (
        launch_copy(tmp_path / "one.db") as one,
        launch_copy(tmp_path / "other.db", COUNTERFOIL_DOCS="false") as other,
    ):
        assert httpx2.get(f"{one.url}/docs").status_code == 200
        assert httpx2.get(f"{other.url}/docs").status_code == 404
        assert "one.db" in one.log()
        assert "one.db" not in other.log()
        assert one.stop() in {0, -signal.SIGTERM}
        assert other.is_live()
    with pytest.raises(RuntimeError, match="there is no such setting"):
        launch_copy(tmp_path / "one.db", COUNTERFOIL_COLOUR="red")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
def test_killing_a_run_stops_the_copies_of_its_preloaded_service(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LAUNCH_COPY_AND_WAIT, str(tmp_path / "killed.db")]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        service = psutil.Process(int(run.stdout.readline()))
        run.send_signal(signal.SIGKILL)
    _wait_for_end(service)


def launch_copy(path: Path, **environment: str) -> Server:
    return Server.launch(f"sqlite:///{path}", environment=environment)


def test_of_what_runs_on_one_database_each_case_runs_once(tmp_path: Path) -> None:
    cases = tmp_path / "test_cases.py"
    cases.write_text(ON_ONE_DATABASE)
    options = [f"--config-file={REPOSITORY}/pyproject.toml", f"--rootdir={tmp_path}"]
    collected = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "tests.support.plugin"),
            *("--collect-only", *options, str(cases)),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.partition("::")[2] for line in collected.splitlines() if "::" in line]
    by_turns = [line for line in lines if line.startswith("test_by_turns")]
    assert {line.split("-")[0] for line in by_turns} == {
        "test_by_turns[sqlite",
        "test_by_turns[postgresql",
    }
    assert len({line.split("-")[1] for line in by_turns}) == len(by_turns) == 20
    assert len(lines) == 40
