"""uvicorn's HTTP/1.1 with the limits that it lacks, on slow clients and on large request heads.

A client that sends the head of its request byte by byte or never, or does not read its response,
would otherwise keep its connection for ever. api/middleware.py limits the time for a body.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.settings import ApiSettings, load
from counterfoil.problems import RETRY_AFTER, problem

# The connection of a client that reads nothing of its response for so long is aborted.
_WRITE_SECONDS = 10.0


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
        self._is_head_too_large = False
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
                self._reject_head()
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
                self._is_head_too_large = True
                raise ValueError("the head is too large")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        if self._is_head_too_large:
            self._reject_head()
        else:
            self._respond(HTTPStatus.BAD_REQUEST, "malformed_request", "This is not HTTP/1.1.")

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
        super()._start_asgi_task(
            cycle, _too_many_connections if app is service_unavailable else app
        )

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
            detail = "The head of the request took too long."
            self._respond(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", detail)
        else:
            self.transport.close()
        self._abort_unless_read()

    def _reject_head(self) -> None:
        detail = "The head of the request is larger than this service takes."
        self._respond(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", detail)

    def _respond(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Respond without the application, since there is no complete request to give it."""
        response = problem(status, code, detail, headers={"Connection": "close"})
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def _abort_unless_read(self) -> None:
        """A closed connection stays open until its last byte is read, or until it is aborted."""
        if self.transport.get_write_buffer_size() and self._write_timer is None:
            self._write_timer = self.loop.call_later(_WRITE_SECONDS, self.transport.abort)


async def _too_many_connections(scope: Any, receive: Any, send: Any) -> None:
    """Responds in place of the application while there are too many connections."""
    response = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "Too many connections are open. Try again shortly.",
        headers={**RETRY_AFTER, "Connection": "close"},
    )
    await response(scope, receive, send)
