"""One HTTP connection to the service, with at most one request in flight, by h11.

Nothing here has a deadline: the caller sets one, and aborts the connection when it is over. A
connection that receives anything unexpected is never used again, because what comes next could be
the answer to another question.
"""

import asyncio
from typing import NamedTuple, cast

import h11

MAX_HEAD_BYTES = 16_384
# Some kilobytes are usual: an identity with its roles and scopes.
MAX_BODY_BYTES = 65_536

_REUSABLE = (h11.DONE, h11.DONE)


class ConnectionLost(Exception):
    """The connection ended before the response was complete.

    `unanswered` is true if nothing of the response had arrived, as when the service had closed an
    idle connection just before the request reached it.
    """

    def __init__(self, *, unanswered: bool) -> None:
        self.unanswered = unanswered
        super().__init__("the connection was lost")


class BadResponse(Exception):
    """What arrived is no HTTP response, or a larger one than is read."""


class Response(NamedTuple):
    """A complete response. `media_type` is lower-case, without parameters."""

    status: int
    media_type: str
    body: bytes


class Connection(asyncio.Protocol):
    """Made by `loop.create_connection`. `post` may be called while `is_idle`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._has_received = False
        self.idle_since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether it is open, and a request can be sent."""
        return self._transport is not None and self._answer is None

    async def post(self, request: h11.Request, form: bytes) -> Response:
        """Send a request with this body. Raises ConnectionLost or BadResponse."""
        if self._transport is None:
            raise ConnectionLost(unanswered=True)
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._answer = answer
        self._head, self._has_received = None, False
        self._body.clear()
        parts = (request, h11.Data(data=form), h11.EndOfMessage())
        self._transport.write(b"".join(self._http.send(part) or b"" for part in parts))
        try:
            return await answer
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close it at once, whatever is in flight."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Always one of TCP or TLS, though uvloop's are of no class of asyncio.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            # Nobody has asked, so nobody may be given this as an answer.
            self.abort()
            return
        self._has_received = True
        self._receive(data)

    def eof_received(self) -> None:
        # Also ends a body that has no length.
        if self._answer is not None and not self._answer.done():
            self._receive(b"")

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._fail(ConnectionLost(unanswered=not self._has_received))

    def _receive(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            self._read_events()
        except h11.RemoteProtocolError:
            if data:
                self._fail(BadResponse("no HTTP response"))
            else:
                # It ended before the response was complete.
                self._fail(ConnectionLost(unanswered=not self._has_received))
        except BadResponse as error:
            self._fail(error)

    def _read_events(self) -> None:
        while True:
            event = self._http.next_event()
            match event:
                case h11.Response():
                    self._head = event
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > MAX_BODY_BYTES:
                        raise BadResponse("the response is too large")
                case h11.EndOfMessage():
                    self._finish()
                    return
                case h11.ConnectionClosed() | h11.NEED_DATA | h11.PAUSED:
                    return

    def _finish(self) -> None:
        assert self._head is not None and self._answer is not None  # noqa: S101, PT018 - h11's order
        answer, self._answer = self._answer, None
        media_type = dict(self._head.headers).get(b"content-type", b"").partition(b";")[0]
        response = Response(
            self._head.status_code, media_type.decode("latin-1").strip().lower(), bytes(self._body)
        )
        states = (self._http.our_state, self._http.their_state)
        if states == _REUSABLE and self._http.trailing_data == (b"", False):
            self._http.start_next_cycle()
            self.idle_since = self._loop.time()
        else:
            self.abort()
        answer.set_result(response)

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
