"""The runner tells mistakes that tests notice from those that they do not, on a tiny repository."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutants import report, runner
from mutants.catalogue import CatalogueError, Mutant
from mutants.report import Row
from mutants.runner import BaselineFailed, Verdict, Workspace

FILES = {
    "product.py": "LIMIT = 3\n\n\ndef is_over(count):\n    return count > LIMIT\n",
    "tests/test_product.py": (
        "import time\nfrom product import LIMIT, is_over\n\n\n"
        "def test_over():\n    assert is_over(9)\n    time.sleep(0 if LIMIT < 99 else 600)\n"
    ),
    "tests/test_wrong.py": "def test_wrong():\n    assert False\n",
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
PAGE = (
    "Before.\n\n<!-- mutants: scripts/mutants --write writes what is between these two lines -->\n"
    "<!-- end of mutants -->\n\nAfter.\n"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    repository = tmp_path / "repository"
    for name, text in {**FILES, "secret.env": "not tracked"}.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", *FILES], check=True)
    with runner.copied(repository, database_url="postgresql://none", limit_seconds=20) as copied:
        yield copied


def mutant(text: str, replacement: str, test: str = "tests/test_product.py") -> Mutant:
    return Mutant("area", 1, "product.py", text, replacement, (test,), "A mistake.")


def test_a_mistake_that_a_test_notices_is_killed(workspace: Workspace) -> None:
    assert workspace.judge(mutant("count > LIMIT", "count < LIMIT")) is Verdict.KILLED


def test_a_mistake_that_no_test_notices_lived(workspace: Workspace) -> None:
    assert workspace.judge(mutant("count > LIMIT", "count >= LIMIT")) is Verdict.LIVED


def test_a_mistake_by_which_a_test_does_not_end_is_killed(workspace: Workspace) -> None:
    workspace._limit_seconds = 3
    assert workspace.judge(mutant("return count > LIMIT", "while True: pass")) is Verdict.KILLED


def test_a_mistake_by_which_nothing_can_be_imported_is_killed(workspace: Workspace) -> None:
    assert workspace.judge(mutant("LIMIT = 3", "LIMIT = unknown")) is Verdict.KILLED


def test_the_file_is_as_before_afterwards_and_only_tracked_files_are_copied(
    workspace: Workspace,
) -> None:
    workspace.judge(mutant("LIMIT = 3", "LIMIT = 4"))
    for name, text in FILES.items():
        assert (workspace.folder / name).read_text() == text
    assert not (workspace.folder / "secret.env").exists()


@pytest.mark.parametrize("text", ["no such text", "LIMIT"])
def test_a_text_that_is_not_there_once_is_an_error(workspace: Workspace, text: str) -> None:
    with pytest.raises(CatalogueError, match="not once"):
        workspace.judge(mutant(text, "LIMIT = 4"))


def test_tests_that_cannot_be_run_are_an_error(workspace: Workspace) -> None:
    with pytest.raises(CatalogueError, match="its tests do not run"):
        workspace.judge(mutant("LIMIT = 3", "LIMIT = 4", "tests/test_product.py::test_none"))


def test_tests_that_fail_without_a_mistake_are_an_error(workspace: Workspace) -> None:
    workspace.check([mutant("", "")])
    with pytest.raises(BaselineFailed, match="test_wrong"):
        workspace.check([mutant("", "", "tests/test_wrong.py")])


def test_the_page_has_a_row_for_each_area_with_its_survivors(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    made = [Mutant("login", n, "a.py", "", "", (), f"Mistake {n}.") for n in (1, 2, 3)]
    verdicts = [Verdict.KILLED, Verdict.LIVED, Verdict.LIVED]
    rows = report.rows(dict(zip(made, verdicts, strict=True)))
    assert report.rate(rows) == pytest.approx(1 / 3)
    report.update_page(page, rows)
    report.update_page(page, [Row("csrf", 2, 2, "none")])
    assert page.read_text() == PAGE.replace(
        "<!-- end",
        "\n3 of 5 mutants were killed, 60 %.\n\n"
        "| area | mutants | killed | rate | survivors |\n|---|---|---|---|---|\n"
        "| csrf | 2 | 2 | 100 % | none |\n"
        "| login | 3 | 1 | 33 % | 2: Mistake 2. 3: Mistake 3. |\n\n<!-- end",
    )
