"""Walks through a page as its reader does: in a clone, with a shell, a server and a database."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.postgresql import find_binaries
from harness.programs import require_program
from harness.server import REPOSITORY, Server
from tests.support.administrator import give_role, run_sql
from tests.support.client import PASSWORD
from tests.support.documentation import Block, matches

# A block that begins so serves until the next one of that port does, in a terminal of its own.
SERVES = re.compile(r"(scripts/serve|\.venv/bin/uvicorn )")
PLAIN = "scripts/serve"
PORT = "8000"
POSTGRESQL = "postgresql://user:password@host/counterfoil"
# Reads one block after another, each ended by NUL, and answers with its output and NUL.
_SHELL = r"""while IFS= read -r -d '' block; do eval "$block" </dev/null; printf '\0'; done"""
# What a page takes for granted unless it begins with nothing: an administrator, number 42.
_SIGN_UP = f"""
curl -sf http://127.0.0.1:{PORT}/register -o /dev/null --json '{{
  "email": "ada@example.org", "password": "{PASSWORD}", "name": "Ada"
}}'
"""
_LOG_IN = f"""
TOKEN=$(curl -sf http://127.0.0.1:{PORT}/token -d username=ada@example.org \
  --data-urlencode 'password={PASSWORD}' | grep -o 'cfa_[^"]*')
"""


class Walk:
    """One page, from its first block to its last."""

    def __init__(self, folder: Path, database_url: str, *, from_nothing: bool) -> None:
        self.folder = folder
        self.database = database_url.partition(":")[0]
        self._url = database_url
        self._is_staged = from_nothing
        self._servers: dict[str, Server] = {}
        self._environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
        self._programs = client_programs(self.database)
        make_clone(folder)
        self._place_database()

    def __enter__(self) -> Self:
        self._running = ExitStack()
        complaints = self._running.enter_context((self.folder / "complaints").open("wb"))
        self._shell = self._running.enter_context(
            subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", _SHELL],
                cwd=self.folder,
                env={**self._environment, "PATH": self._programs},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()
        for server in self._servers.values():
            server.__exit__(kind, error, trace)

    def take(self, block: Block) -> None:
        """Do what a block says, and compare what comes out with what the page says."""
        if block.language == "python":
            self._write(block.text)
        elif SERVES.match(block.text):
            self._serve(block.text.strip())
        else:
            self._stage()
            typed = block.text if block.language == "sh" else self._type_sql(block.text)
            printed = self.run(typed)
            expected = printed if block.output is None else block.output
            assert matches(printed, expected), f"{block.text}\nprinted\n{printed}\nnot\n{expected}"

    def run(self, commands: str) -> str:
        """What the shell prints. It goes on, with all of its variables."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{self._as_it_is_here(commands)}\0".encode())
        self._shell.stdin.flush()
        printed = bytearray()
        while (character := self._shell.stdout.read(1)) != b"\0":
            if not character:
                complaints = (self.folder / "complaints").read_text()
                raise AssertionError(f"{commands}\nfailed:\n{printed.decode()}\n{complaints}")
            printed += character
        return printed.decode()

    def _write(self, text: str) -> None:
        """A file whose name is the comment in its first line."""
        name = re.match(r"# (\w+\.py)\n", text)
        assert name, f"which file is this?\n{text}"
        (self.folder / name[1]).write_text(self._as_it_is_here(text))

    def _serve(self, command: str) -> None:
        port, same_port = _port_of(command), None
        if former := self._servers.pop(port, None):
            former.__exit__(None, None, None)
            # The shell remembers it, in functions that have been defined.
            same_port = former.port
        in_clone = f"cd {shlex.quote(str(self.folder))} && exec {command} --port {{port}}"
        self._servers[port] = Server.launch(
            command=["sh", "-c", in_clone],
            environment=self._environment,
            port=same_port,
            # Any other service of FastAPI's has at least a description.
            live_path="/health/live" if port == PORT else "/openapi.json",
        )

    def _stage(self) -> None:
        """Bring about what the page takes for granted, once there is something to be typed."""
        if self._is_staged:
            return
        self._is_staged = True
        if PORT not in self._servers:
            self._serve(PLAIN)
        if self.database == "sqlite":
            self._sql("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'users'")
        else:
            self._sql("ALTER SEQUENCE users_id_seq RESTART WITH 42")
        self.run(_SIGN_UP)
        give_role(self._sql, "admin")
        self.run(_LOG_IN)

    def _sql(self, statement: str) -> list[tuple[object, ...]]:
        return run_sql(self._url, statement)

    def _type_sql(self, statements: str) -> str:
        """As with the client program of the database, which an administrator has open."""
        (self.folder / "statements.sql").write_text(statements)
        if self.database == "sqlite":
            return "sqlite3 -bail -cmd 'PRAGMA foreign_keys = ON' counterfoil.db <statements.sql"
        return 'psql "$DATABASE_URL" -X -q -A -t -v ON_ERROR_STOP=1 <statements.sql'

    def _as_it_is_here(self, text: str) -> str:
        for port, server in self._servers.items():
            text = text.replace(f"http://127.0.0.1:{port}", server.url)
        return text.replace(POSTGRESQL, self._url)

    def _place_database(self) -> None:
        """SQLite in the folder, as by default; PostgreSQL at an address that has been exported."""
        if self.database == "sqlite":
            place = self.folder / "counterfoil.db"
            Path(self._url.removeprefix("sqlite:///")).rename(place)
            self._url = f"sqlite:///{place}"
        else:
            self._environment["DATABASE_URL"] = self._url


def _port_of(command: str) -> str:
    given = re.search(r"--port (\d+)", command)
    return given[1] if given else PORT


def client_programs(database: str) -> str:
    """A search path with the program in which an administrator of this database types SQL."""
    require_program("curl")
    if database == "sqlite":
        found = Path(require_program("sqlite3"))
    else:
        beside_server = find_binaries() / "psql"
        found = beside_server if beside_server.exists() else Path(require_program("psql"))
    return os.pathsep.join([str(found.parent), os.environ["PATH"]])


def make_clone(folder: Path) -> None:
    """A folder like a clone in which `scripts/serve` has been run, with this very code."""
    folder.mkdir()
    for item in REPOSITORY.iterdir():
        if not item.name.startswith(".") and item.suffix != ".db" and item.name != "scripts":
            (folder / item.name).symlink_to(item)
    # The scripts go to where they really are.
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
    (folder / ".venv").mkdir()
    for item in Path(sys.prefix).iterdir():
        if item.name != "complete":
            (folder / ".venv" / item.name).symlink_to(item)
    stamp = ". scripts/lib/environment.sh; python=$(find_python); stamp_of requirements.lock"
    with (folder / ".venv" / "complete").open("wb") as complete:
        subprocess.run(["sh", "-c", stamp], cwd=folder, stdout=complete, check=True)
