"""The frame around every request: its id, the bounds of its body, the headers of its answer."""

import asyncio
import logging
import re
from contextvars import ContextVar
from http import HTTPStatus
from secrets import token_hex

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors, oauth_errors, startup

log = logging.getLogger("counterfoil.errors")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_ACCEPTABLE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
# What has not been read of a body cannot be told from the next request on the same connection.
_CLOSE = {"Connection": "close"}
_SECURITY_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Frame:
    """One pure ASGI middleware for all of it: each further layer would cost every request."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, body_seconds: float) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, startup.without_traceback(send))
            return
        identifier, length = _read(scope["headers"])
        request_id.set(identifier.decode())
        send = _with_headers(send, identifier)
        if length is not None and length > self._max_body_bytes:
            await _refuse_body(scope, receive, send)
            return
        if scope["method"] not in _BODILESS:
            receive = _bounded(receive, self._max_body_bytes, self._body_seconds)
        try:
            await self._app(scope, receive, send)
        except Exception:
            # The client has been answered; the server would log the same again, without the id.
            log.exception("unexpected error in request %s", identifier.decode())


def _read(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int | None]:
    identifier, length = b"", None
    for name, value in headers:
        if name == b"x-request-id" and _ACCEPTABLE_ID.fullmatch(value):
            identifier = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    return identifier or token_hex(8).encode(), length


def _with_headers(send: Send, identifier: bytes) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            present = {name for name, _ in headers}
            headers.append((b"x-request-id", identifier))
            headers.extend(pair for pair in _SECURITY_HEADERS if pair[0] not in present)
            if _POLICY[0] not in present:
                headers.append(_POLICY)
        await send(message)

    return send_with_headers


def _bounded(receive: Receive, limit: int, seconds: float) -> Receive:
    """Refuse a body that turns out too large, or that takes too long to arrive."""
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


async def _refuse_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Ahead of routing, and without reading any of it."""
    is_oauth = scope["path"] in oauth_errors.PATHS
    response = (oauth_errors if is_oauth else errors).from_http(_too_large())
    await response(scope, receive, send)


def _too_large() -> HTTPException:
    detail = "The body is larger than this service takes."
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, _CLOSE)
