"""uvicorn's HTTP protocol, made to stop without breaking a connection in use."""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.server.bounded_protocol import BoundedProtocol

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
