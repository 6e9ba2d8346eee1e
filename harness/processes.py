"""Starts child processes that never outlive their parent, and finds free ports for them."""

import ctypes
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """An unused port of 127.0.0.1 below the range of ephemeral ports on Linux.

    A client that keeps connecting to a stopped server could otherwise be assigned that same port.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def spawn(
    command: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    user: str | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command as `user` and append its output to `log`.

    It gets `death_signal` when this process dies. On Linux it gets the signal when the calling
    *thread* ends, so call this from a thread that stays. It has a session of its own, so that
    Ctrl-C reaches only this process, which then stops it in order. It inherits the file
    `descriptors`.
    """
    this_process, signal_number = str(os.getpid()), str(int(death_signal))
    wrapper = [sys.executable, "-IS", __file__, this_process, signal_number, user or ""]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            pass_fds=descriptors,
            start_new_session=True,
        )


class Process(Protocol):
    """What is used of a process that has been started, as subprocess.Popen has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sent: signal.Signals, /) -> None: ...


def wait_until(ready: Callable[[], bool], process: Process, *, seconds: float) -> bool:
    """Poll until `ready` returns True. Returns False if the process ends or time is up before."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.02)
    return False


def _execute(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    if user:
        _change_user(user)
    # Changing the user clears the parent-death signal, so it is set afterwards.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit("The parent process has ended already.")
    os.execvp(command[0], command)


def _change_user(name: str) -> None:
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


if __name__ == "__main__":
    _execute(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
