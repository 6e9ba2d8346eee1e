"""The frame around every request: its id, caps on its body and time, its headers, and its end."""

import json
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from http import HTTPStatus
from secrets import token_hex
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import startup
from database import deadlines

# Where a request's scope holds the identity, once it has been resolved.
RESOLVED = "counterfoil.identity"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_ACCEPTABLE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_TOO_LARGE = "The body is larger than this service takes."
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_SECURITY_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


OnEnd = Callable[[Scope, int, float], None]
"""Told of each request when it is over: its scope, the status, and the seconds that it took."""

# As nginx has it: the client went away before there was an answer.
_CLIENT_GONE = 499


class Frame:
    """One pure ASGI middleware for all of it: each further layer would cost every request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        database_seconds: float,
        on_end: Sequence[OnEnd] = (),
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._database_seconds = database_seconds
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, startup.without_traceback(send))
            return
        began = perf_counter()
        identifier, length = _read(scope["headers"])
        request_id.set(identifier.decode())
        deadlines.allow(self._database_seconds)
        answer = _Answer(send, identifier)
        try:
            if length is not None and length > self._max_body_bytes:
                await _refuse_body(answer.send)
            elif scope["method"] in _BODILESS:
                await self._app(scope, receive, answer.send)
            else:
                await self._app(scope, _capped(receive, self._max_body_bytes), answer.send)
        except Exception:
            answer.status = answer.status or HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            seconds = perf_counter() - began
            for tell in self._on_end:
                tell(scope, answer.status or _CLIENT_GONE, seconds)


def _read(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int | None]:
    identifier, length = b"", None
    for name, value in headers:
        if name == b"x-request-id" and _ACCEPTABLE_ID.fullmatch(value):
            identifier = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    return identifier or token_hex(8).encode(), length


class _Answer:
    """Adds the headers on the way out, and keeps the status. It is 0 until there is one."""

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


def _capped(receive: Receive, limit: int) -> Receive:
    received = 0

    async def receive_capped() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return receive_capped


async def _refuse_body(send: Send) -> None:
    body = {
        "type": "about:blank",
        "title": HTTPStatus.REQUEST_ENTITY_TOO_LARGE.phrase,
        "status": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "code": "body_too_large",
        "detail": _TOO_LARGE,
    }
    text = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(text)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": body["status"], "headers": headers})
    await send({"type": "http.response.body", "body": text})
