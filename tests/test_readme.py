"""The README does what it says: its walk is run line by line, and so is its SQL."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.postgresql import find_binaries
from tests.support.programs import require_program
from tests.support.server import REPOSITORY, Server

README = (REPOSITORY / "README.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


class Step(NamedTuple):
    """A block for the shell, and what the block after it says comes out."""

    commands: str
    output: str


def section(title: str) -> str:
    """The text from a heading to the next."""
    _, _, rest = README.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def steps(text: str) -> Iterator[Step]:
    blocks = [*FENCE.findall(text), ("sh", "")]
    for (language, block), (next_language, next_block) in pairwise(blocks):
        if language == "sh":
            yield Step(block, "" if next_language == "sh" else next_block)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone in which `scripts/serve` has been run."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "api.py").symlink_to(REPOSITORY / "api.py")
    return tmp_path


@pytest.fixture
def client_program(database_url: str) -> str:
    """The program with which an administrator of this database types SQL."""
    if database_url.startswith("sqlite"):
        return require_program("sqlite3")
    beside_server = find_binaries() / "psql"
    return str(beside_server) if beside_server.exists() else require_program("psql")


def test_the_walk_does_what_it_says(clone: Path, database_url: str, client_program: str) -> None:
    require_program("curl")
    other = "psql" if database_url.startswith("sqlite") else "sqlite3"
    walk = [step for step in steps(section("A walk with curl")) if other not in step.commands]
    assert len(walk) == 6

    environment = {
        "PATH": os.pathsep.join([str(Path(client_program).parent), os.environ["PATH"]]),
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        **where_the_readme_has_it(clone, database_url),
    }
    command = [".venv/bin/python", "api.py", "serve", "--port", "{port}"]
    in_clone = ["sh", "-c", f"cd {shlex.quote(str(clone))} && exec {' '.join(command)}"]
    with Server.launch(command=in_clone, environment=environment) as server:
        outputs = run(
            [step.commands.replace(ADDRESS, server.url) for step in walk], clone, environment
        )
    for step, output in zip(walk, outputs, strict=True):
        assert matches(output, step.output), (
            f"{step.commands}\nprinted\n{output}\nnot\n{step.output}"
        )


def where_the_readme_has_it(clone: Path, database_url: str) -> dict[str, str]:
    """SQLite in the folder, by default; PostgreSQL at an address that has been exported."""
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).rename(clone / "counterfoil.db")
        return {}
    return {"DATABASE_URL": database_url}


def run(blocks: list[str], folder: Path, environment: dict[str, str]) -> list[str]:
    """What each block printed, all of them in one shell that ends at the first failure."""
    script = "".join(f"{block}\nprintf '\\0'\n" for block in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("\0")[:-1]


def matches(printed: str, written: str) -> bool:
    """The page leaves out by three dots what differs each time, or does not matter."""
    pattern = ".*".join(map(re.escape, written.strip().split("...")))
    return re.fullmatch(pattern, printed.strip()) is not None


def test_every_statement_of_the_readme_logs_out_at_once(
    client: Client, sql: Sql, database_url: str
) -> None:
    ((_, block),) = FENCE.findall(section("Log people out by SQL"))
    statements = block.splitlines()
    assert len(statements) == 6
    if database_url.startswith("sqlite"):
        # The page says what SQLite lacks, and what to write there.
        statements = [
            s.replace("now()", "datetime('now')") for s in statements if "sha256" not in s
        ]
    for number, statement in enumerate(statements):
        tokens = client.sign_up(f"user{number}@example.org")
        user_id = client.me(tokens).json()["id"]
        sql(statement.replace("42", str(user_id)).replace("cfa_...", tokens.access_token))
        assert client.me(tokens).status_code == 401, statement
        assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant", statement


def test_the_protected_route_of_the_readme_is_in_the_example() -> None:
    ((_, block),) = FENCE.findall(section("Protect your own routes"))
    example = (REPOSITORY / "examples" / "notes.py").read_text()
    for line in filter(None, block.splitlines()):
        names = line.removeprefix("from api.dependencies import ")
        assert names in example, line


def test_every_link_leads_to_a_file() -> None:
    for page in [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *docs()]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def docs() -> Iterator[Path]:
    yield from (REPOSITORY / "docs").rglob("*.md")
