"""Child processes that never outlive their parent, and ports for them to listen on."""

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

PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, below those that Linux gives to clients.

    A client that keeps calling a stopped server could otherwise be given that very port itself.
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
    farewell: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command as `user`, its output added to `log`; `farewell` ends it if we die.

    It has a session of its own, so Ctrl-C reaches only the process that will then stop it in order.
    On Linux the farewell comes when the calling *thread* ends: call this from one that stays.
    """
    tether = [sys.executable, "-IS", __file__, str(os.getpid()), str(int(farewell)), user or ""]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*tether, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], *, seconds: float
) -> bool:
    """Ask `ready` until it says yes; False if the process ends or the time is over before."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.02)
    return False


def _become(parent: int, farewell: int, user: str, command: list[str]) -> None:
    if user:
        _change_user(user)
    # Changing the user clears the parent-death signal, so it is asked for afterwards.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, farewell)
    if os.getppid() != parent:
        sys.exit("The parent has gone already.")
    os.execvp(command[0], command)


def _change_user(name: str) -> None:
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
