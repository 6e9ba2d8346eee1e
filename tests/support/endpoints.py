"""Servers that stand in for the service's introspection endpoint, well and badly behaved."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from counterfoil.identity import Identity
from counterfoil.introspection import answer

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

NOTHING = b'{"active":false}'


def response(
    body: bytes,
    *,
    status: str = "200 OK",
    media_type: str = "application/json",
    more: str = "",
) -> bytes:
    """A complete HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{more}\r\n".encode() + body


def described(identity: Identity, **changes: Any) -> bytes:
    """The body for a live identity, with some members changed, or left out if None."""
    members = {**answer.write(identity, issuer="https://auth.example.org"), **changes}
    return json.dumps({name: one for name, one in members.items() if one is not None}).encode()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of the next request. Raises IncompleteReadError if there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return head, await reader.readexactly(length)


class Endpoint:
    """A server on the running event loop. Its handler can be changed at any time.

    `handler` is called for each connection, which is closed when it returns.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def answering(cls, *responses: bytes) -> Self:
        """Answers with these one after the other, and from then on with the last."""
        waiting = list(responses)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                endpoint.requests.append(await read_request(reader))
                writer.write(waiting.pop(0) if len(waiting) > 1 else waiting[0])

        endpoint = cls(handle)
        return endpoint

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def listen(self, port: int, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=ssl_context)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and reset every connection."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client has gone, or the server stops.
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
