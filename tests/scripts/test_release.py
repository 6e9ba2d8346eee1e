"""scripts/release: what a release is made of, and what it rejects before anything is made."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.programs import require_program
from harness.server import REPOSITORY
from tests.support.page_runner import link_environment

LOCK = "requirements-dev.lock"
FILES = {
    ".gitignore": "/.venv*\n/dist/\n",
    "requirements.lock": "",
    LOCK: "",
    "counterfoil/__init__.py": '__version__ = "1.2.0"\n',
    "CHANGELOG.md": """
# Changelog

## [Unreleased]

- What comes later.

## [1.2.0] - 2026-11-30

### Added

- What is new.

## [1.1.0] - 2026-10-31

- What was new.
""",
}


class Repository:
    """A clone in which everything is committed, as it is before a release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "HOME": str(folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self._copy("scripts/release", "scripts/lib/environment.sh")
        self._copy("pyproject.toml", "README.md", "LICENSE")
        self.write(FILES)
        link_environment(folder, LOCK)
        self.git("init", "--quiet")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.org")
        self.commit()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Everything")

    def git(self, *arguments: str) -> str:
        done = self._run(require_program("git"), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def release(self) -> subprocess.CompletedProcess[str]:
        return self._run("scripts/release")

    def assert_rejected(self, reason: str) -> None:
        tags = self.git("tag")
        done = self.release()
        assert done.returncode == 1
        assert reason in done.stderr
        assert self.git("tag") == tags
        assert not (self.folder / "dist").exists()

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True
        )

    def _copy(self, *names: str) -> None:
        for name in names:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, target)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "clone")


def test_a_release_is_a_wheel_and_a_tag_that_says_what_changed(repository: Repository) -> None:
    done = repository.release()
    assert done.returncode == 0, done.stderr
    built = [path.name for path in (repository.folder / "dist").glob("*.whl")]
    assert built == ["counterfoil-1.2.0-py3-none-any.whl"]
    message = repository.git("tag", "--list", "v1.2.0", "--format=%(contents)")
    assert message.strip() == "Counterfoil 1.2.0\n\n### Added\n\n- What is new."
    assert repository.git("rev-parse", "v1.2.0^{commit}") == repository.git("rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["counterfoil/__init__.py", "a_new_file"])
def test_what_is_not_committed_is_not_released(repository: Repository, name: str) -> None:
    with (repository.folder / name).open("a") as file:
        file.write("# A change.\n")
    repository.assert_rejected("the working tree has changes")


def test_a_version_is_released_once(repository: Repository) -> None:
    repository.git("tag", "v1.2.0")
    repository.assert_rejected("v1.2.0 exists")


@pytest.mark.parametrize(
    "section",
    ["", "## [1.2.0]\n\n- No date.\n", "## [1.2.0] - 2026-11-30\n\n", "## [1.2.01] - 2026-11-30\n"],
)
def test_a_version_that_the_changelog_does_not_describe_is_not_released(
    repository: Repository, section: str
) -> None:
    changelog = f"# Changelog\n\n{section}\n## [1.1.0] - 2026-10-31\n\n- What was new.\n"
    repository.write({"CHANGELOG.md": changelog})
    repository.commit()
    repository.assert_rejected('CHANGELOG.md has no section "## [1.2.0] - YYYY-MM-DD"')


def test_a_package_that_names_no_version_is_not_released(repository: Repository) -> None:
    repository.write({"counterfoil/__init__.py": ""})
    repository.commit()
    repository.assert_rejected("counterfoil/__init__.py has no line __version__")


def test_a_wheel_of_another_version_is_not_tagged(repository: Repository) -> None:
    pyproject = (repository.folder / "pyproject.toml").read_text()
    fixed = pyproject.replace('dynamic = ["version"]', 'version = "1.1.0"')
    repository.write({"pyproject.toml": fixed})
    repository.commit()
    done = repository.release()
    assert done.returncode == 1
    assert "not named dist/counterfoil-1.2.0-py3-none-any.whl" in done.stderr
    assert repository.git("tag") == ""
