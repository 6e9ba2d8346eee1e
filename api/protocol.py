"""uvicorn's HTTP protocol and supervisor, made to stop without breaking a connection in use."""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.supervisors.multiprocess import Multiprocess

from api.bounded_protocol import BoundedProtocol

# Clients that are at work send their next request within this time.
_FAREWELL_SECONDS = 0.25


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
    """Stops listening before its workers do.

    They do not stop at the same moment. Whoever is sent away by one connects anew and would wait in
    the queue of a socket that nobody takes connections from any more, until it is reset.
    """

    def terminate_all(self) -> None:
        """Called once, when the service stops."""
        for socket in self.sockets:
            # From now on the queue takes in next to nothing, and the workers empty it.
            socket.listen(0)
        super().terminate_all()
        for socket in self.sockets:
            socket.close()
