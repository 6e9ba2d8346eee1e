"""The environment of a scenario: databases, services that use them, and accounts."""

import os
import random
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
from sqlalchemy.engine import make_url

from database import migrations
from faults.calls import Caller, Tokens, read_tokens, register
from harness.postgresql import DatabaseServer, PostgreSQL
from harness.relay import Relay
from harness.server import Server

TIMEOUT_SECONDS = 15.0


class ScenarioContext:
    """Starts what a scenario needs, and stops it when the block ends.

    `deadline` is the service's database deadline in seconds. `server` is shared, so scenarios that
    stop or break a server start their own with `cluster`.
    """

    def __init__(self, server: DatabaseServer, *, deadline: float) -> None:
        self.deadline = deadline
        self._server = server
        self._resources = ExitStack()

    def __enter__(self) -> "ScenarioContext":
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def database(self) -> str:
        """The URL of a new, migrated database on the shared server."""
        name = f"fault_{uuid4().hex}"
        url = self._server.create_database(name)
        self._resources.callback(self._server.drop_database, name)
        migrations.upgrade(url)
        return url

    def cluster(self, *, durable: bool = False, **options: object) -> tuple[PostgreSQL, str]:
        """A new PostgreSQL server, and the URL of a migrated database in it."""
        server = self._resources.enter_context(PostgreSQL.launch(durable=durable, options=options))
        url = server.create_database("counterfoil")
        migrations.upgrade(url)
        return server, url

    def sqlite(self, folder: Path | None = None) -> str:
        """The URL of a new, migrated SQLite file, in a new folder unless one is given."""
        url = f"sqlite:///{folder or self.folder()}/counterfoil.db"
        migrations.upgrade(url)
        return url

    def standby(self, primary: PostgreSQL, **options: object) -> PostgreSQL:
        """A hot standby of another server."""
        return self._resources.enter_context(primary.launch_standby(options))

    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-fault-"))
        self._resources.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def relay(self, url: str) -> tuple[Relay, str]:
        """A relay in front of a database, and the database's URL behind it."""
        relay = self._resources.enter_context(Relay(make_url(url).port or 5432))
        return relay, relay.url(url)

    def serve(
        self,
        url: str,
        *,
        workers: int = 1,
        port: int | None = None,
        listening: socket.socket | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        **settings: object,
    ) -> Server:
        """A running service with these settings, named as in the settings classes."""
        # Few clients make many changes here, and each refresh token has to have one winner.
        usual = {"bcrypt_rounds": 4, "refresh_grace_seconds": 0, "writes_per_minute": 1_000_000}
        chosen = {**usual, "database_deadline_seconds": self.deadline, **settings}
        variables = {f"COUNTERFOIL_{name.upper()}": str(value) for name, value in chosen.items()}
        return self._resources.enter_context(
            Server.launch(
                url,
                workers=workers,
                port=port,
                listening=listening,
                environment={**variables, **(environment or {})},
                log=log,
            )
        )


EMAIL = "ada@example.org"


def sign_up(service: Server, email: str = EMAIL) -> Tokens:
    """Register an account and log in."""
    with Caller(service.url) as caller:
        register(caller, email)
        return read_tokens(caller.log_in(email))


def seconds_until(condition: Callable[[], bool], *, timeout: float = TIMEOUT_SECONDS) -> float:
    """The seconds until the condition is true. Infinite if it is not within the timeout."""
    began = time.monotonic()
    while time.monotonic() - began < timeout:
        if condition():
            return time.monotonic() - began
        time.sleep(0.02)
    return float("inf")


def kill_random_worker(service: Server) -> None:
    """Send SIGKILL to one of two workers once both are running, and wait for its end."""
    seconds_until(lambda: len(service.worker_pids()) == 2)
    victim = random.choice(service.worker_pids())
    os.kill(victim, signal.SIGKILL)
    seconds_until(lambda: victim not in service.worker_pids())


@contextmanager
def suspended(server: PostgreSQL) -> Iterator[None]:
    """Suspend (SIGSTOP) the postmaster and all its children until the block ends."""
    for process in _processes_of(server):
        process.suspend()
    try:
        yield
    finally:
        for process in _processes_of(server):
            process.resume()


def _processes_of(server: PostgreSQL) -> list[psutil.Process]:
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]
