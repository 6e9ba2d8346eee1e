"""Takes over the listening sockets that systemd has opened for the service (sd_listen_fds(3)).

systemd keeps them open while the service restarts, so that connections wait and none is refused.
"""

import os
import socket

from api.settings import SocketActivation
from api.startup import CannotStart

_FIRST_DESCRIPTOR = 3


def take_over() -> list[socket.socket]:
    """Return the sockets, or none if the service was not started with any. Raises CannotStart."""
    given = SocketActivation()
    if given.listen_pid != os.getpid():
        return []
    return [_take(_FIRST_DESCRIPTOR + number) for number in range(given.listen_fds)]


def _take(descriptor: int) -> socket.socket:
    taken = socket.socket(fileno=descriptor)
    if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise CannotStart("the socket unit needs ListenStream= and no Accept=yes")
    taken.set_inheritable(False)
    return taken
