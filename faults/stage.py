"""What a scenario is played on: databases, services in front of them, accounts to log in with."""

import os
import random
import shutil
import signal
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

PATIENCE_SECONDS = 15.0


class Stage:
    """`deadline` is the service's, in seconds. What was opened here is closed with the stage.

    `server` is for those faults that leave the server itself in peace.
    """

    def __init__(self, server: DatabaseServer, *, deadline: float) -> None:
        self.deadline = deadline
        self._server = server
        self._open = ExitStack()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def database(self) -> str:
        """The URL of a migrated database."""
        name = f"fault_{uuid4().hex}"
        url = self._server.create_database(name)
        self._open.callback(self._server.drop_database, name)
        migrations.upgrade(url)
        return url

    def cluster(self, *, durable: bool = False, **options: object) -> tuple[PostgreSQL, str]:
        """A server to stop and break, and the URL of a migrated database in it."""
        server = self._open.enter_context(PostgreSQL.launch(durable=durable, options=options))
        url = server.create_database("counterfoil")
        migrations.upgrade(url)
        return server, url

    def sqlite(self, folder: Path | None = None) -> str:
        """The URL of a migrated file, in a folder of its own unless one is given."""
        url = f"sqlite:///{folder or self.folder()}/counterfoil.db"
        migrations.upgrade(url)
        return url

    def standby(self, primary: PostgreSQL, **options: object) -> PostgreSQL:
        """A server that follows another one."""
        return self._open.enter_context(primary.launch_standby(options))

    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-fault-"))
        self._open.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def relay(self, url: str) -> tuple[Relay, str]:
        """A relay in front of a database, and its URL by way of it."""
        relay = self._open.enter_context(Relay(make_url(url).port or 5432))
        return relay, relay.url(url)

    def serve(
        self,
        url: str,
        *,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> Server:
        """A service with these settings, by their names. Stopped with the stage."""
        given = {"bcrypt_rounds": 4, "database_deadline_seconds": self.deadline, **settings}
        variables = {f"COUNTERFOIL_{name.upper()}": str(value) for name, value in given.items()}
        return self._open.enter_context(
            Server.launch(url, workers=workers, environment={**variables, **(environment or {})})
        )


EMAIL = "ada@example.org"


def sign_up(service: Server, email: str = EMAIL) -> Tokens:
    """Register an account and log in."""
    with Caller(service.url) as caller:
        register(caller, email)
        return read_tokens(caller.log_in(email))


def seconds_until(condition: Callable[[], bool], *, patience: float = PATIENCE_SECONDS) -> float:
    """How long it takes until this holds. Infinite if it does not within the patience."""
    began = time.monotonic()
    while time.monotonic() - began < patience:
        if condition():
            return time.monotonic() - began
        time.sleep(0.02)
    return float("inf")


def kill_a_worker(service: Server) -> None:
    """SIGKILL for either of two workers, once both are there."""
    seconds_until(lambda: len(service.worker_pids()) == 2)
    victim = random.choice(service.worker_pids())
    os.kill(victim, signal.SIGKILL)
    seconds_until(lambda: victim not in service.worker_pids())


@contextmanager
def stopped(server: PostgreSQL) -> Iterator[None]:
    """SIGSTOP for the postmaster and all its children; they go on when the block is left."""
    processes = _family(server)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in _family(server):
            process.resume()


def _family(server: PostgreSQL) -> list[psutil.Process]:
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]
