"""What is deployed is fewer packages than what is asked for, at the same versions."""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from harness.server import REPOSITORY

PRODUCT = ("api", "authentication", "counterfoil", "database", "schemas", "alembic")
# Asked for, or used by a developer, and of no use where the service runs.
DEVELOPMENT = {"pytest", "httpx2", "fastapi-cli", "watchfiles", "websockets", "pyyaml"}
# Imported by uvicorn if they are there: the first is required by api/server.
PARTS_OF_UVICORN = {"httptools", "uvloop"}


def versions(lock: str) -> dict[str, str]:
    """Each package of a lock file with its version."""
    text = (REPOSITORY / lock).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def ranges(file: str) -> dict[str, str]:
    """Each package of a list with its versions, without its extras."""
    lines = (REPOSITORY / file).read_text().splitlines()
    wanted = [line.partition("#")[0].partition(";")[0].strip() for line in lines]
    split = [re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?(.*)", line) for line in wanted]
    return {found[1].lower(): found[2] for found in split if found}


def imported() -> Iterator[str]:
    """The packages that the product imports, by the names of their distributions."""
    distributions = packages_distributions()
    files = [path for folder in PRODUCT for path in (REPOSITORY / folder).rglob("*.py")]
    for path in [*files, REPOSITORY / "api.py"]:
        for module in modules(path):
            for name in distributions.get(module, []):
                yield name.lower().replace("_", "-")


def modules(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_the_lean_list_is_the_one_asked_for_without_the_packages_of_development() -> None:
    asked_for, lean = ranges("requirements.txt"), ranges("requirements-run.txt")
    assert set(asked_for) - set(lean) == DEVELOPMENT & set(asked_for)
    assert set(lean) - set(asked_for) == PARTS_OF_UVICORN
    assert {name: lean[name] for name in set(lean) & set(asked_for)} == {
        name: asked_for[name] for name in set(lean) & set(asked_for)
    }


def test_the_lean_lock_has_the_tested_versions_and_no_package_of_development() -> None:
    lean, whole = versions("requirements-run.lock"), versions("requirements.lock")
    assert not DEVELOPMENT & set(lean)
    assert set(whole) >= DEVELOPMENT
    assert set(ranges("requirements-run.txt")) <= set(lean)
    assert lean.items() <= whole.items()


def test_every_package_of_the_lean_lock_is_pinned_by_hash() -> None:
    text = (REPOSITORY / "requirements-run.lock").read_text()
    entries = re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert len(entries) == len(versions("requirements-run.lock"))


def test_the_product_imports_nothing_that_the_lean_lock_lacks() -> None:
    found = set(imported())
    assert {"fastapi", "sqlalchemy", "alembic", "uvicorn", "httptools"} <= found | PARTS_OF_UVICORN
    assert found <= set(versions("requirements-run.lock"))


def test_what_is_deployed_is_installed_from_the_lean_lock() -> None:
    for path in ("Dockerfile", "docs/how-to/deployment.md"):
        text = (REPOSITORY / path).read_text()
        assert re.search(r"--require-hashes\s+(?:-r|--requirement) requirements-run\.lock", text), (
            path
        )
        assert not re.search(r"(?:-r|--requirement|COPY)\s+requirements\.lock", text), path
