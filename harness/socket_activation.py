"""Starts a command with a listening socket, as systemd does for a service with a socket unit.

`python socket_activation.py DESCRIPTOR COMMAND...`; see sd_listen_fds(3) for what it sets.
"""

import os
import sys

FIRST_DESCRIPTOR = 3


def _become(descriptor: int, command: list[str]) -> None:
    if descriptor != FIRST_DESCRIPTOR:
        os.dup2(descriptor, FIRST_DESCRIPTOR)
        os.close(descriptor)
    # The process stays the same, and so does its number.
    given = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    os.execvpe(command[0], command, {**os.environ, **given})


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
