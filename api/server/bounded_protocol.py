"""uvicorn's HTTP/1.1 with the limits that it lacks, on slow clients and on large request heads.

A client that sends the head of its request byte by byte or never, or does not read its response,
would otherwise keep its connection for ever. api/middleware.py limits the time for a body.
"""

import asyncio
import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn, cast

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api import errors
from api.middleware import EARLY_RESPONSE
from api.settings import ApiSettings, load
from counterfoil.problems import problem

# The connection of a client that reads nothing of its response for so long is aborted.
_WRITE_SECONDS = 10.0

# A name or an address, and a port (RFC 3986, 3.2.2 and 3.2.3). It may be empty (RFC 9110, 7.2).
_is_host = re.compile(rb"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::[0-9]*)?").fullmatch


class Rejection(NamedTuple):
    """A response that the protocol gives by itself."""

    status: HTTPStatus
    code: str
    detail: str


_NOT_HTTP = Rejection(HTTPStatus.BAD_REQUEST, "malformed_request", "This is not HTTP/1.1.")
_WRONG_HOST = Rejection(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "A request has exactly one Host header (RFC 9112, 3.2).",
)
_HEAD_TOO_LARGE = Rejection(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    "The head of the request is larger than this service takes.",
)
_HEAD_TOO_SLOW = Rejection(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The head of the request took too long."
)


@cache
def _settings() -> ApiSettings:
    # uvicorn creates the protocol in each worker, and has no parameter for settings of ours.
    return load().api


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A timer runs while a request's head is due or a response is not read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = _settings()
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._is_in_head = False
        self._rejection: Rejection | None = None
        self._running_cycle: RequestResponseCycle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)
        # uvicorn tells only the last of several pipelined requests, which may not have begun.
        self.pipeline.clear()
        if self._running_cycle is not None:
            self._running_cycle.disconnected = True
            self._running_cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.max_head_bytes:
                self._respond(_HEAD_TOO_LARGE)
        cycle: RequestResponseCycle | None = self.cycle
        if self._is_in_head or cycle is None or cycle.response_complete:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_head_timer()
        if self._head_bytes + self._chunk_bytes > self._limits.max_head_bytes:
            # Part of the chunk may be a body, so the head has to be counted by itself.
            sizes = (len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + sum(sizes) > self._limits.max_head_bytes:
                self._reject(_HEAD_TOO_LARGE)
        if not self._has_one_host():
            self._reject(_WRONG_HOST)
        super().on_headers_complete()

    def _has_one_host(self) -> bool:
        """HTTP/1.0 has no such header, and some load balancers check services with it."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return self.parser.get_http_version() == "1.0"
        return len(hosts) == 1 and _is_host(hosts[0]) is not None

    def _reject(self, rejection: Rejection) -> NoReturn:
        """Have the parser stop, which leads to `send_400_response`."""
        self._rejection = rejection
        raise ValueError(rejection.code)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        self._respond(self._rejection or _NOT_HTTP)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(_WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_unless_read()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_unless_read()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Callable[..., Any]) -> None:
        self._running_cycle = cycle
        if app is service_unavailable:
            # The application responds, so that its middleware sees this response as well.
            cast("dict[str, Any]", cycle.scope)[EARLY_RESPONSE] = errors.too_many_connections
        super()._start_asgi_task(cycle, self.app)

    def _start_head_timer(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            seconds = self._limits.request_head_seconds
            self._head_timer = self.loop.call_later(seconds, self._on_head_timeout)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            self._respond(_HEAD_TOO_SLOW)
        else:
            self.transport.close()
        self._abort_unless_read()

    def _respond(self, rejection: Rejection) -> None:
        """Respond without the application, since there is no complete request to give it."""
        status = rejection.status
        response = problem(*rejection, headers={"Connection": "close"})
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def _abort_unless_read(self) -> None:
        """A closed connection stays open until its last byte is read, or until it is aborted."""
        if self.transport.get_write_buffer_size() and self._write_timer is None:
            self._write_timer = self.loop.call_later(_WRITE_SECONDS, self.transport.abort)
