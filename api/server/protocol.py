"""uvicorn's HTTP protocol and supervisor, made to stop without breaking a connection in use."""

import ctypes
import socket
import struct
import time

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.supervisors.multiprocess import Multiprocess

from api.server.bounded_protocol import BoundedProtocol

# Clients that are at work send their next request within this time.
_FAREWELL_SECONDS = 0.25
# Long enough for the workers to take all connections that wait for them.
_EMPTYING_SECONDS = 0.1

# From Linux's headers; Python does not have them.
_SO_ATTACH_FILTER = 26
_BPF_RETURN = 0x06


class Protocol(BoundedProtocol):
    """When the service stops, a connection between two requests is not closed at once.

    The next request may be on its way already, and closing would reset it. It is still answered,
    with `Connection: close`.
    """

    _is_stopping = False

    def shutdown(self) -> None:
        """Called once by uvicorn for each connection, after it has stopped listening."""
        self._is_stopping = True
        self.loop.call_later(_FAREWELL_SECONDS, super().shutdown)
        if (cycle := self._cycle()) is not None and not cycle.response_complete:
            super().shutdown()

    def on_headers_complete(self) -> None:
        """Called by the parser for each request."""
        super().on_headers_complete()
        if self._is_stopping and (cycle := self._cycle()) is not None:
            cycle.keep_alive = False

    def _cycle(self) -> RequestResponseCycle | None:
        # There is none before the first request, which uvicorn's type does not say.
        return self.cycle


class Supervisor(Multiprocess):
    """Lets nobody in any more before its workers stop.

    They do not stop at the same moment. Whoever is sent away by one connects anew and would wait in
    the queue of a socket that nobody takes connections from any more, until it is reset.
    """

    def terminate_all(self) -> None:
        """Called once, when the service stops."""
        for listening in self.sockets:
            _let_nobody_in(listening)
        # The workers are still at work, and take in those who have been let in.
        time.sleep(_EMPTYING_SECONDS)
        super().terminate_all()
        for listening in self.sockets:
            listening.close()


def _let_nobody_in(listening: socket.socket) -> None:
    """Have the queue of connections grow no more. Those who come try again until it is closed."""
    # On Linux, the whole of a packet filter that takes no byte of any packet (man 7 socket).
    program = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    packet_filter = struct.pack("HP", 1, ctypes.addressof(program))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packet_filter)
    except OSError:
        # Where there is no such thing, one at a time still comes in.
        listening.listen(0)
