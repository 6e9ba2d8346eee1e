"""What a scenario is played on: databases, services in front of them, accounts to log in with."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from database import migrations
from faults.calls import Caller, register
from tests.support.postgresql import PostgreSQL
from tests.support.relay import Relay
from tests.support.server import Server

PATIENCE_SECONDS = 15.0


class Stage:
    """`deadline` is the service's, in seconds. What was opened here is closed with the stage."""

    def __init__(self, *, deadline: float) -> None:
        self.deadline = deadline
        self._open = ExitStack()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def postgresql(self, *, durable: bool = False, **options: object) -> PostgreSQL:
        """A cluster of its own with a migrated database, see `url_of`."""
        server = self._open.enter_context(PostgreSQL.launch(durable=durable, options=options))
        migrations.upgrade(server.create_database("counterfoil"))
        return server

    def sqlite(self, folder: Path | None = None) -> str:
        """The URL of a migrated file, in a folder of its own unless one is given."""
        url = f"sqlite:///{folder or self.folder()}/counterfoil.db"
        migrations.upgrade(url)
        return url

    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-fault-"))
        self._open.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def relay(self, server: PostgreSQL) -> Relay:
        return self._open.enter_context(Relay(server.port))

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

    def account(self, service: Server, name: str = "ada") -> str:
        """Register an account. Returns its address."""
        email = f"{name}@example.org"
        with Caller(service.url) as caller:
            register(caller, email)
        return email


def url_of(server: PostgreSQL) -> str:
    """The migrated database that the stage has made."""
    return server.url("counterfoil")


def seconds_until(condition: Callable[[], bool], *, patience: float = PATIENCE_SECONDS) -> float:
    """How long it takes until this holds. Infinite if it does not within the patience."""
    began = time.monotonic()
    while time.monotonic() - began < patience:
        if condition():
            return time.monotonic() - began
        time.sleep(0.02)
    return float("inf")


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
