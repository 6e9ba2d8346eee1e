"""uvicorn's HTTP protocol, stopping without a reset of connections that are in use."""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.server.bounded_protocol import BoundedProtocol

# A client that is at work sends its next request within this time.
_GRACE_SECONDS = 0.25


class Protocol(BoundedProtocol):
    """A connection between two requests stays open for a moment when the service stops.

    The next request may be on its way already, and closing would reset the connection. It is
    answered with `Connection: close`.
    """

    _is_stopping = False

    def shutdown(self) -> None:
        """Called once by uvicorn for each connection, after it has stopped listening."""
        self._is_stopping = True
        self.loop.call_later(_GRACE_SECONDS, super().shutdown)
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
