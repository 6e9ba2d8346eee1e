"""Makes one mistake at a time in a copy of the repository, and runs the tests that must notice."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from mutants.catalogue import CatalogueError, Mutant

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")

# Exit statuses of pytest. Others, such as that of a crash, count as killed.
_ALL_PASSED = 0
_INTERNAL_ERROR, _USAGE_ERROR, _NOTHING_COLLECTED = 3, 4, 5


class Verdict(Enum):
    """Whether the tests noticed the mistake."""

    KILLED = "killed"
    LIVED = "lived"


class BaselineFailed(Exception):
    """The tests fail without any mistake, so a failure would say nothing."""


class Workspace:
    """A copy of the tracked files of a repository, in which files are changed and restored."""

    def __init__(self, folder: Path, *, database_url: str, limit_seconds: float) -> None:
        self.folder = folder
        self._limit_seconds = limit_seconds
        # A server of its own: tests empty their database, and workers must not share one.
        self._environment = {**os.environ, "TEST_DATABASE_URL": database_url}

    def check(self, mutants: Sequence[Mutant]) -> None:
        """Raises BaselineFailed unless the tests of the mutants pass as the files are."""
        tests = sorted({path for one in mutants for path in one.tests})
        found = self._pytest(["--tb=line", *tests], limit_seconds=None)
        if found.returncode != _ALL_PASSED:
            raise BaselineFailed(found.stdout[-4000:])

    def judge(self, mutant: Mutant) -> Verdict:
        """Make the mistake and run its tests. A test that does not end in time has noticed it."""
        with self._mistake(mutant):
            try:
                found = self._pytest(["-x", *mutant.tests], limit_seconds=self._limit_seconds)
            except subprocess.TimeoutExpired:
                return Verdict.KILLED
        if found.returncode in {_INTERNAL_ERROR, _USAGE_ERROR, _NOTHING_COLLECTED}:
            raise CatalogueError(f"{mutant.name}: its tests do not run:\n{found.stdout[-2000:]}")
        return Verdict.LIVED if found.returncode == _ALL_PASSED else Verdict.KILLED

    @contextmanager
    def _mistake(self, mutant: Mutant) -> Iterator[None]:
        path = self.folder / mutant.file
        source = path.read_text()
        path.write_text(mutant.applied_to(source))
        try:
            yield
        finally:
            path.write_text(source)

    def _pytest(
        self, arguments: Sequence[str], *, limit_seconds: float | None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *PYTEST, *arguments]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # In a process group of its own, to be ended with whatever the tests have started.
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=limit_seconds)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(command, process.returncode, output)


@contextmanager
def copied(repository: Path, *, database_url: str, limit_seconds: float) -> Iterator[Workspace]:
    """A workspace with the tracked files of the repository, as they are in its working tree."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-mutants-") as name:
        folder = Path(name)
        for path in _tracked(repository):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / path, target, follow_symlinks=False)
        for environment in repository.glob(".venv*"):
            (folder / environment.name).symlink_to(environment.resolve())
        yield Workspace(folder, database_url=database_url, limit_seconds=limit_seconds)


def _tracked(repository: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    return [path for path in listed.stdout.split("\0") if path and (repository / path).exists()]
