"""Runs the real service as a separate process on a free port of 127.0.0.1."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from harness import socket_activation
from harness.preloaded import Preloaded
from harness.processes import Process, free_port, spawn, wait_until

REPOSITORY = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class Server:
    """A running service, which is stopped when the block ends.

    With `preloaded`, services with one worker are copies of a process that has imported it.
    """

    preloaded: Preloaded | None = None

    def __init__(self, port: int, live_path: str = "/health/live", log: Path | None = None) -> None:
        self.port = port
        self._live_path = live_path
        self.url = f"http://127.0.0.1:{port}"
        self._folder = tempfile.TemporaryDirectory(prefix="counterfoil-server-")
        self._log = log or Path(self._folder.name) / "log"
        self._process: Process

    @classmethod
    def launch(
        cls,
        database_url: str | None = None,
        *,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        port: int | None = None,
        listening: socket.socket | None = None,
        live_path: str = "/health/live",
        log: Path | None = None,
    ) -> Self:
        """Start `python api.py serve`, or a `command` in which "{port}" is replaced.

        Returns once `live_path` answers 200. It is passed the `listening` socket if one is given,
        and stops without a drain unless the environment sets a time for it. It writes to a file of
        its own, or to `log`, which may be a named pipe that is open for reading.
        """
        if listening is not None:
            port = listening.getsockname()[1]
        server = cls(port or free_port(), live_path, log)
        given = {"DATABASE_URL": database_url} if database_url else {}
        try:
            server._start(
                command or _serve(workers),
                {"COUNTERFOIL_DRAIN_SECONDS": "0", **given, **(environment or {})},
                listening,
            )
        except BaseException:
            server._discard()
            raise
        return server

    @property
    def pid(self) -> int:
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """The processes that serve requests: the supervisor's children, or the process itself."""
        children = psutil.Process(self.pid).children()
        return [child.pid for child in children if _is_worker(child)] or [self.pid]

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def is_live(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self._live_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def send(self, sent: signal.Signals) -> None:
        """Send a signal to the main process."""
        self._process.send_signal(sent)

    def stop(self) -> int:
        """Send SIGTERM. Returns the exit status; raises RuntimeError after STOP_SECONDS."""
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has stopped. Returns and raises as `stop` does."""
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"The service ignores SIGTERM:\n{self.log()}") from None
        finally:
            self._kill_rest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._discard()

    def _start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        listening: socket.socket | None,
    ) -> None:
        is_usual = command == _serve(1) and listening is None and all(map(_is_setting, environment))
        command = [part.replace("{port}", str(self.port)) for part in command]
        descriptors = []
        if listening is not None:
            descriptors = [listening.fileno()]
            starter = [sys.executable, "-IS", socket_activation.__file__]
            command = [*starter, str(listening.fileno()), *command]
        env, folder = {**_clean_environment(), **environment}, Path(self._folder.name)
        if self.preloaded is not None and is_usual:
            self._process = self.preloaded.start(command[2:], log=self._log, env=env, cwd=folder)
        else:
            self._process = spawn(
                command, log=self._log, env=env, cwd=folder, descriptors=descriptors
            )
        if not wait_until(self.is_live, self._process, seconds=START_SECONDS):
            raise RuntimeError(f"The service does not start:\n{self.log()}")

    def _discard(self) -> None:
        self._kill_rest()
        self._folder.cleanup()

    def _kill_rest(self) -> None:
        """Kills the process group, in which workers remain if their supervisor was killed."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait(STOP_SECONDS)


def _is_worker(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:
        # It has just ended.
        return False


def _serve(workers: int) -> list[str]:
    return [
        *(sys.executable, str(REPOSITORY / "api.py"), "serve"),
        *("--host", "127.0.0.1", "--port", "{port}", "--workers", str(workers)),
    ]


def _clean_environment() -> dict[str, str]:
    """The environment without settings, so that a developer's settings do not affect the tests.

    For the same reason the service runs in an empty folder, which has no .env.
    """
    kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def _is_setting(name: str) -> bool:
    return name.startswith("COUNTERFOIL_") or name == "DATABASE_URL"
