"""Finds the fenced blocks in README.md and docs/, and which of them tests run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.server import REPOSITORY

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The languages of blocks that a reader types or saves. Others are output and configuration.
PROGRAMS = {"python", "javascript", "typescript"}
COMMANDS = {"sh", "sql", *PROGRAMS}
OUTPUT = {"text", "json"}
DATABASES = {
    "sqlite": ("sqlite3 ", "-- SQLite\n"),
    "postgresql": ("psql ", "-- PostgreSQL\n", "postgresql://"),
}

# Shell blocks that no test runs, by page and prefix, and prefixes that are run on no page, with the
# reason. Their syntax is checked.
NOT_RUN = {
    ("docs/how-to/postgresql.md", "OWNER_PASSWORD="): "tests/database/test_roles.py runs it",
    ("docs/how-to/postgresql.md", "DATABASE_URL=postgresql://counterfoil_owner"): "as above",
    ("docs/how-to/postgresql.md", "-- PostgreSQL\nGRANT "): "compared there with what is run",
    (
        "docs/how-to/resolve-by-sql.md",
        "-- PostgreSQL\nCREATE ROLE ",
    ): "tests/database/test_roles.py",
    ("docs/how-to/resolve-by-sql.md", "DATABASE_URL=postgresql://counterfoil_owner"): "as above",
    ("docs/how-to/resolve-by-sql.md", "-- PostgreSQL\nGRANT "): "as above",
    (
        "docs/how-to/another-process.md",
        "-- PostgreSQL\nCREATE ROLE ",
    ): "tests/counterfoil/test_modes.py executes it",
    ("docs/how-to/another-process.md", "pip install "): "fetches packages",
    ("docs/how-to/inside-your-application.md", "pip install "): "fetches packages",
    (
        "docs/how-to/beside-your-models.md",
        "-- PostgreSQL\nCREATE ROLE ",
    ): "tests/database/test_roles.py executes it",
    ("docs/how-to/beside-your-models.md", "-- PostgreSQL\nGRANT USAGE "): "as above",
    ("docs/how-to/deployment.md", "deploy/compose/create-secrets"): "needs a container engine",
    ("docs/how-to/deployment.md", "cd /opt/counterfoil && git pull"): "the same",
    ("docs/how-to/deployment.md", "kubectl apply "): "needs a cluster",
    ("docs/how-to/deployment.md", ".venv/bin/python -m pip install "): "fetches packages",
    (
        "docs/how-to/deployment.md",
        "ln -s /opt/counterfoil",
    ): "tests/api/commands/test_administration.py runs that program",
    ("docs/how-to/deployment.md", "(umask 077; pg_dump "): "tests/database/test_roles.py runs it",
    ("docs/how-to/deployment.md", "pg_restore "): "as above",
    ("docs/how-to/deployment.md", "git clone "): "sets up the machine, with systemd",
    ("docs/how-to/deployment.md", "cp deploy/counterfoil.socket "): "needs systemd",
}
NEVER_RUN = {
    "scripts/test": "it would run itself",
    "scripts/bench": "takes minutes, and would measure the other tests",
    "scripts/faults": "takes minutes; tests/faults/ plays the quick scenarios",
}


class Block(NamedTuple):
    """A fenced block. `output` is the block of output that follows it on the page, if any."""

    language: str
    text: str
    output: str | None = None

    def is_for(self, database: str) -> bool:
        """Whether it is run on this kind of database. False if it names only the other one."""
        named = self.databases()
        return not named or database in named

    def databases(self) -> set[str]:
        """The kinds of databases that it names."""
        return {
            kind for kind, words in DATABASES.items() if any(word in self.text for word in words)
        }


def pages() -> list[Path]:
    """README.md and all pages in docs/."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def commands(page: Path) -> list[Block]:
    """The blocks of a page that tests run, in order."""
    return [block for block in every_command(page) if not is_exception(page, block)]


def every_command(page: Path) -> Iterator[Block]:
    """All command blocks of a page, including those that are not run."""
    found = FENCE.findall(page.read_text())
    following = [*found, ("", "")][1:]
    for (language, text), (next_language, next_text) in zip(found, following, strict=True):
        if language in COMMANDS:
            yield Block(language, text, next_text if next_language in OUTPUT else None)


def is_exception(page: Path, block: Block) -> bool:
    here = [beginning for name, beginning in NOT_RUN if name == name_of(page)]
    return block.text.startswith((*here, *NEVER_RUN))


def databases_of(page: Path) -> list[str]:
    """The kinds of databases on which a page is run: those that it names, or else SQLite."""
    named = {kind for block in commands(page) for kind in block.databases()}
    return sorted(named or {"sqlite"}, reverse=True)


def statements(page: Path, title: str, database: str) -> list[str]:
    """The SQL statements of a section for this kind of database."""
    found = [text for kind, text in FENCE.findall(section(page, title)) if kind == "sql"]
    blocks = [Block("sql", text) for text in found]
    text = "".join(block.text for block in blocks if block.is_for(database))
    without_comments = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return [one.strip() for one in without_comments.split(";\n") if one.strip()]


def section(page: Path, title: str) -> str:
    """The text between a heading of level 2 and the next."""
    _, _, rest = page.read_text().partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def matches(printed: str, written: str) -> bool:
    """Whether output matches a page, on which "..." stands for text that varies."""
    pattern = ".*".join(map(re.escape, written.strip().split("...")))
    return re.fullmatch(pattern, printed.strip()) is not None
