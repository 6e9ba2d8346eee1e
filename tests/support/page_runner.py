"""Runs the commands of a documentation page in a clone, with a shell, a server and a database."""

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
from harness.programs import require_node_package, require_program
from harness.server import REPOSITORY, Server
from tests.support.administrator import give_role, run_sql
from tests.support.client import PASSWORD
from tests.support.documentation import PROGRAMS, Block, matches

# Blocks with this prefix start a server, which runs until the next such block with its port.
SERVES = re.compile(r"(scripts/serve|\.venv/bin/uvicorn )")
PORT = "8000"
POSTGRESQL = "postgresql://user:password@host/counterfoil"
_CLIENT = REPOSITORY / "clients" / "javascript"
_TYPESCRIPT = ("--strict", "--target", "es2022", "--module", "nodenext")
# What Node.js itself declares is in a package of its own.
_NODE_TYPES = """
declare const process: { argv: string[]; env: Record<string, string> }
declare module 'node:fs' {
  export function readFileSync(path: string, encoding: 'utf8'): string
}
"""
# Reads blocks that end in NUL, and writes the output of each, followed by NUL.
_SHELL = r"""while IFS= read -r -d '' block; do eval "$block" </dev/null; printf '\0'; done"""
# Most pages assume a service with an administrator whose id is 42 and whose token is in $TOKEN.
_SIGN_UP = f"""
curl -sf http://127.0.0.1:{PORT}/register -o /dev/null --json '{{
  "email": "ada@example.org", "password": "{PASSWORD}", "name": "Ada"
}}'
"""
_LOG_IN = f"""
TOKEN=$(curl -sf http://127.0.0.1:{PORT}/token -d username=ada@example.org \
  --data-urlencode 'password={PASSWORD}' | grep -o 'cfa_[^"]*')
"""


class PageRunner:
    """Runs the blocks of one page in order.

    `from_nothing` is true for a page that starts the service and creates its users itself.
    """

    def __init__(self, folder: Path, database_url: str, *, from_nothing: bool) -> None:
        self.folder = folder
        self.database = database_url.partition(":")[0]
        self._url = database_url
        self._is_set_up = from_nothing
        self._servers: dict[str, Server] = {}
        self._environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
        self._programs = client_programs(self.database)
        make_clone(folder)
        self._set_up_database()

    def __enter__(self) -> Self:
        self._running = ExitStack()
        errors = self._running.enter_context((self.folder / "errors").open("wb"))
        self._shell = self._running.enter_context(
            subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", _SHELL],
                cwd=self.folder,
                env={**self._environment, "PATH": self._programs},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
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

    def run_block(self, block: Block) -> None:
        """Run a block and compare its output with that on the page."""
        if block.language in PROGRAMS:
            self._save(block.text)
        elif SERVES.match(block.text):
            self._serve(block.text.strip())
        else:
            self._set_up()
            command = block.text if block.language == "sh" else self._sql_command(block.text)
            printed = self.run(command)
            expected = printed if block.output is None else block.output
            expected = self._with_actual_urls(expected)
            assert matches(printed, expected), f"{block.text}\nprinted\n{printed}\nnot\n{expected}"

    def run(self, commands: str) -> str:
        """Run commands in the shell, which keeps its variables. Returns the output."""
        assert self._shell.stdin
        assert self._shell.stdout
        runnable = _with_compiled_programs(self._with_actual_urls(commands))
        self._shell.stdin.write(f"{runnable}\0".encode())
        self._shell.stdin.flush()
        printed = bytearray()
        while (character := self._shell.stdout.read(1)) != b"\0":
            if not character:
                errors = (self.folder / "errors").read_text()
                raise AssertionError(f"{commands}\nfailed:\n{printed.decode()}\n{errors}")
            printed += character
        return printed.decode()

    def _save(self, text: str) -> None:
        """Save a program under the name in the comment of its first line."""
        name = re.match(r"(?:#|//) ([\w/-]+\.(?:py|mjs|mts))\n", text)
        assert name, f"the first line names no file:\n{text}"
        path = self.folder / name[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(self._with_actual_urls(text))
        if path.suffix != ".py":
            self._link_node_packages(text)
        if path.suffix == ".mts":
            self._compile(path)

    def _link_node_packages(self, program: str) -> None:
        """Put the packages that a program imports where Node looks for them."""
        modules = self.folder / "node_modules"
        modules.mkdir(exist_ok=True)
        for package in re.findall(r"""from ["']([a-z0-9-]+)["']""", program):
            found = _CLIENT if package == "counterfoil-client" else require_node_package(package)
            (modules / package).symlink_to(found)

    def _compile(self, program: Path) -> None:
        """Compile a program in TypeScript, which Node.js runs by itself from 22.18 on only."""
        (self.folder / "node.d.ts").write_text(_NODE_TYPES)
        compiler = require_node_package("typescript") / "bin" / "tsc"
        done = subprocess.run(
            [require_program("node"), compiler, *_TYPESCRIPT, program.name, "node.d.ts"],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout

    def _serve(self, command: str) -> None:
        port, same_port = _port_of(command), None
        if former := self._servers.pop(port, None):
            former.__exit__(None, None, None)
            # Functions that were defined in the shell contain the port.
            same_port = former.port
        in_clone = f"cd {shlex.quote(str(self.folder))} && exec {command} --port {{port}}"
        self._servers[port] = Server.launch(
            command=["sh", "-c", in_clone],
            environment=self._environment,
            port=same_port,
            # Any other FastAPI application serves at least its OpenAPI description.
            live_path="/health/live" if port == PORT else "/openapi.json",
        )

    def _set_up(self) -> None:
        """Start the service, create the administrator and log in, once."""
        if self._is_set_up:
            return
        self._is_set_up = True
        if PORT not in self._servers:
            # As `scripts/serve` would; pages that show it run it.
            self._servers[PORT] = Server.launch(self._url, environment=self._environment)
        if self.database == "sqlite":
            self._sql("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'users'")
        else:
            self._sql("ALTER SEQUENCE users_id_seq RESTART WITH 42")
        self.run(_SIGN_UP)
        give_role(self._sql, "admin")
        self.run(_LOG_IN)

    def _sql(self, statement: str) -> list[tuple[object, ...]]:
        return run_sql(self._url, statement)

    def _sql_command(self, statements: str) -> str:
        """The command that runs statements with the client program of the database."""
        (self.folder / "statements.sql").write_text(statements)
        if self.database == "sqlite":
            settings = "-cmd '.timeout 5000' -cmd 'PRAGMA foreign_keys = ON'"
            return f"sqlite3 -bail {settings} counterfoil.db <statements.sql"
        return 'psql "$DATABASE_URL" -X -q -A -t -v ON_ERROR_STOP=1 <statements.sql'

    def _with_actual_urls(self, text: str) -> str:
        for port, server in self._servers.items():
            text = text.replace(f"http://127.0.0.1:{port}", server.url)
        return text.replace(POSTGRESQL, self._url)

    def _set_up_database(self) -> None:
        """Put SQLite's file at its default path, or set DATABASE_URL to PostgreSQL."""
        if self.database == "sqlite":
            path = self.folder / "counterfoil.db"
            Path(self._url.removeprefix("sqlite:///")).rename(path)
            self._url = f"sqlite:///{path}"
        else:
            self._environment["DATABASE_URL"] = self._url


def _with_compiled_programs(commands: str) -> str:
    return re.sub(r"\bnode ([\w-]+)\.mts\b", r"node \1.mjs", commands)


def _port_of(command: str) -> str:
    given = re.search(r"--port (\d+)", command)
    return given[1] if given else PORT


def client_programs(database: str) -> str:
    """A PATH that contains the client program of this kind of database, and curl."""
    require_program("curl")
    if database == "sqlite":
        found = Path(require_program("sqlite3"))
    else:
        beside_server = find_binaries() / "psql"
        found = beside_server if beside_server.exists() else Path(require_program("psql"))
    return os.pathsep.join([str(found.parent), os.environ["PATH"]])


def make_clone(folder: Path) -> None:
    """Make a folder like a clone in which `scripts/serve` has been run. It links to this code."""
    folder.mkdir()
    for item in REPOSITORY.iterdir():
        is_database = item.suffix in {".db", ".db-wal", ".db-shm"}
        if not item.name.startswith(".") and not is_database and item.name != "scripts":
            (folder / item.name).symlink_to(item)
    # Scripts change to the folder that they are in, so they are copied.
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
    link_environment(folder, "requirements.lock")


def link_environment(folder: Path, lock: str) -> None:
    """Make the scripts in `folder` take our environment for theirs, installed as `lock` says."""
    (folder / ".venv").mkdir()
    for item in Path(sys.prefix).iterdir():
        if item.name != "complete":
            (folder / ".venv" / item.name).symlink_to(item)
    stamp = '. scripts/lib/environment.sh; python=$(find_python); stamp_of "$1"'
    with (folder / ".venv" / "complete").open("wb") as complete:
        subprocess.run(["sh", "-c", stamp, "-", lock], cwd=folder, stdout=complete, check=True)
