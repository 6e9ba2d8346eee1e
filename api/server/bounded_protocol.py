"""uvicorn's HTTP/1.1 with the limits that it lacks, so that slow and swollen requests end.

A client that dribbles out the head of its request, never sends one, or never reads its answer would
otherwise hold its connection for ever. How long a body may take is bounded in api/middleware.py.
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

# A client that takes no byte of its answer for so long is given up.
_WRITE_SECONDS = 10.0


@cache
def _settings() -> ApiSettings:
    # Each worker builds its protocol by itself, and the environment is what they share.
    return load().api


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A timer runs whenever a request's head is due, or an answer is not taken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = _settings()
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._is_in_head = False
        self._is_head_too_large = False
        self._running: RequestResponseCycle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting_head()
        self._stop_expecting_reader()
        super().connection_lost(exc)
        # uvicorn tells the last of several pipelined requests alone, and it may not have begun.
        self.pipeline.clear()
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.max_head_bytes:
                self._refuse_head()
        cycle: RequestResponseCycle | None = self.cycle
        if self._is_in_head or cycle is None or cycle.response_complete:
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_expecting_head()
        if self._head_bytes + self._chunk_bytes > self._limits.max_head_bytes:
            # The chunk may hold a body as well, so only now is it worth while to count.
            sizes = (len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + sum(sizes) > self._limits.max_head_bytes:
                self._is_head_too_large = True
                raise ValueError("the head is too large")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        if self._is_head_too_large:
            self._refuse_head()
        else:
            self._end_with(HTTPStatus.BAD_REQUEST, "malformed_request", "This is not HTTP/1.1.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(_WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_expecting_reader()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_unless_taken()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_unless_taken()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Callable[..., Any]) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, _busy if app is service_unavailable else app)

    def _expect_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            seconds = self._limits.request_head_seconds
            self._head_timer = self.loop.call_later(seconds, self._give_up_on_head)

    def _stop_expecting_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_expecting_reader(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_up_on_head(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            detail = "The head of the request took too long."
            self._end_with(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", detail)
        else:
            self.transport.close()
        self._abort_unless_taken()

    def _refuse_head(self) -> None:
        detail = "The head of the request is larger than this service takes."
        self._end_with(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", detail)

    def _end_with(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Answer without the application, as there is no request that it could be shown."""
        response = problem(status, code, detail, headers={"Connection": "close"})
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def _abort_unless_taken(self) -> None:
        """A closed connection lives on until its last byte is taken, or until it is aborted."""
        if self.transport.get_write_buffer_size() and self._write_timer is None:
            self._write_timer = self.loop.call_later(_WRITE_SECONDS, self.transport.abort)


async def _busy(scope: Any, receive: Any, send: Any) -> None:
    """Answers in place of the application while there are too many connections."""
    response = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "Too many connections are open. Try again shortly.",
        headers={**RETRY_AFTER, "Connection": "close"},
    )
    await response(scope, receive, send)
