"""Starts the service as a copy of a process that has imported all of it already.

Importing takes most of the processor time of a start, and the tests start hundreds of services.
What runs is `api.py` with arguments and settings of its own, as if it had been started by itself.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

MODULES = (
    "anyio._backends._asyncio",
    "api.commands.cli",
    "api.commands.serve",
    "api.server.bounded_protocol",
    "api.server.worker",
    "harness.preloaded",
    "uvloop",
)
_PROGRAM = Path(__file__).resolve().parents[1] / "api.py"


class Preloaded:
    """The process that is copied. It starts with the first copy, and ends with this process."""

    def __init__(self) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(MODULES))

    def start(
        self, arguments: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path
    ) -> "Copy":
        """Run `api.py` with these arguments, and append its output to `log`."""
        process = self._context.Process(
            target=_run, args=(list(arguments), log, dict(env), cwd), daemon=True
        )
        process.start()
        return Copy(process)


class Copy:
    """A copy, used like a process that `processes.spawn` has started."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None, "it has been started"
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("api.py", timeout or 0)
        return status

    def send_signal(self, sent: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sent)


def _end_with_parent() -> None:
    # The process that was copied lives as long as its copies do.
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _run(arguments: list[str], log: Path, env: dict[str, str], cwd: Path) -> None:
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [str(_PROGRAM), *arguments]
    sys.path.insert(0, str(_PROGRAM.parent))
    runpy.run_path(str(_PROGRAM), run_name="__main__")
