"""Gives every request an id, limits on its body and its time, and security headers."""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from itertools import count
from secrets import token_hex
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors, oauth_errors, startup
from api.request import prefix
from authentication.passwords import disconnects
from counterfoil import budget

log = logging.getLogger("counterfoil.errors")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_ACCEPTABLE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
# The unread rest of a body cannot be told from the next request on the same connection.
_CLOSE = {"Connection": "close"}
_SECURITY_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
# The key in a request's scope of what makes the response, if it is rejected before routing.
EARLY_RESPONSE = "counterfoil.early_response"
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


OnEnd = Callable[[Scope, int, float], None]
"""Called when a request is over, with its scope, the status, and the seconds that it took."""

# nginx's status for a client that closed the connection before it was answered.
_CLIENT_GONE = 499


class RequestMiddleware:
    """One ASGI middleware for all of it, since each further layer would cost every request.

    `last_resort` responds if the application raises before it has responded.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        last_resort: ASGIApp,
        max_body_bytes: int,
        body_seconds: float,
        database_seconds: float,
        on_end: Sequence[OnEnd] = (),
    ) -> None:
        self._app = app
        self._last_resort = last_resort
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._database_seconds = database_seconds
        self._on_end = on_end
        # A counter is cheaper than random bytes for each request; the prefix tells processes apart.
        self._id_prefix = token_hex(6)
        self._id_numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, startup.without_traceback(send))
            return
        began = perf_counter()
        sent_identifier, length = _read_headers(scope["headers"])
        if length > self._max_body_bytes:
            scope[EARLY_RESPONSE] = partial(_body_too_large, scope)
        identifier = sent_identifier or f"{self._id_prefix}-{next(self._id_numbers):x}".encode()
        request_id.set(identifier.decode())
        budget.set_budget(self._database_seconds)
        response = _ResponseSender(send, identifier)
        try:
            await self._respond(scope, receive, response.send)
        except Exception:
            # The server would log it again, without the id.
            log.exception("unexpected error in request %s", identifier.decode())
            if not response.status:
                # It comes from middleware that was added to the application.
                await self._last_resort(scope, receive, response.send)
        finally:
            seconds = perf_counter() - began
            for on_end in self._on_end:
                on_end(scope, response.status or _CLIENT_GONE, seconds)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in _BODILESS:
            await self._app(scope, receive, send)
        else:
            bounded = _bounded(receive, self._max_body_bytes, self._body_seconds)
            disconnects.watch(partial(_until_disconnected, bounded))
            await self._app(scope, bounded, send)


class EarlyResponseMiddleware:
    """Responds to requests that are rejected before routing, below any middleware that is added."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        make_response = scope.get(EARLY_RESPONSE)
        app = self._app if make_response is None else make_response()
        await app(scope, receive, send)


def _read_headers(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int]:
    """The id of the request and the length of its body; empty and 0 if they were not sent."""
    identifier, length = b"", 0
    for name, value in headers:
        if name == b"x-request-id" and _ACCEPTABLE_ID.fullmatch(value):
            identifier = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    return identifier, length


class _ResponseSender:
    """Adds headers to the response and keeps its status, which is 0 until there is one."""

    __slots__ = ("_identifier", "_send", "status")

    def __init__(self, send: Send, identifier: bytes) -> None:
        self._send = send
        self._identifier = identifier
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            present = {name for name, _ in headers}
            headers.append((b"x-request-id", self._identifier))
            headers.extend(pair for pair in _SECURITY_HEADERS if pair[0] not in present)
            if _POLICY[0] not in present:
                headers.append(_POLICY)
        await self._send(message)


def _bounded(receive: Receive, limit: int, seconds: float) -> Receive:
    """Reject a body that turns out too large, or that takes too long to arrive."""
    received = 0
    is_complete = False
    deadline = asyncio.get_running_loop().time() + seconds

    async def receive_bounded() -> Message:
        nonlocal received, is_complete
        if is_complete:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            detail = "The body took too long to arrive."
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, _CLOSE) from None
        received += len(message.get("body", b""))
        is_complete = not message.get("more_body", False)
        if received > limit:
            raise _too_large()
        return message

    return receive_bounded


async def _until_disconnected(receive: Receive) -> None:
    """To be called once the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _body_too_large(scope: Scope) -> Response:
    """A 413, for which none of the body is read."""
    if prefix.path_of(scope) in oauth_errors.PATHS:
        return oauth_errors.from_http(_too_large())
    return errors.from_http(_too_large())


def _too_large() -> HTTPException:
    detail = "The body is larger than this service takes."
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, _CLOSE)
