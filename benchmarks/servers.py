"""Starts and stops the servers under test, and measures their startup times."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes
from benchmarks.messages import HOST, exchange
from benchmarks.options import PEERS_PYTHON, ROOT
from harness.processes import free_port, spawn, wait_until

START_SECONDS = 60.0
STOP_SECONDS = 15.0


class ServerError(Exception):
    """A server under test did not start, or gave an unexpected answer."""


@dataclass
class Server:
    """`probe` is a request that is answered with 200 once the server is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    probe: bytes
    seconds_to_serve: float = 0.0
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ServerError(f"{self.name} is not running")
        return self.process.pid

    def start(self, folder: Path) -> None:
        """Start the server and wait until it is ready. Its output goes to a log in `folder`."""
        log = folder / f"{self.name}.log"
        environment = clean_environment() | dict(self.environment)
        begun = time.monotonic()
        self.process = spawn(self.command, log=log, env=environment, cwd=ROOT)
        if not wait_until(self.serves, self.process, seconds=START_SECONDS):
            self.stop()
            raise ServerError(f"{self.name} does not serve:\n{log.read_text(errors='replace')}")
        self.seconds_to_serve = time.monotonic() - begun

    def serves(self) -> bool:
        try:
            return exchange(self.port, self.probe)[0] == 200
        except (OSError, ValueError):
            return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def memory(self) -> processes.Memory:
        return processes.memory(self.pid)


def clean_environment() -> dict[str, str]:
    """The caller's environment without the product's settings, which would make runs differ."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "DATABASE_URL" and not name.startswith("COUNTERFOIL_")
    }
    return kept | {"PYTHONPATH": str(ROOT)}


def uvicorn(python: Path, application: str, port: int, workers: int = 1) -> list[str]:
    """The command of uvicorn without logs, the same for the product and its FastAPI peers."""
    options = {
        "--host": HOST,
        "--port": str(port),
        "--loop": "uvloop",
        "--http": "httptools",
        "--workers": str(workers),
        "--log-level": "warning",
        # Keeps the connections of clients that pause, as in the mixed scenario.
        "--timeout-keep-alive": "75",
    }
    flat = [part for pair in options.items() for part in pair]
    return [str(python), "-m", "uvicorn", application, *flat, "--no-access-log"]


def peer_server(
    name: str, application: str, probe: bytes, environment: Mapping[str, str] | None = None
) -> Server:
    port = free_port()
    return Server(name, uvicorn(PEERS_PYTHON, application, port), environment or {}, port, probe)
