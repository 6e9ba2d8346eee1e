"""A small asyncio HTTP/1.1 client, for scenarios that must read answers, which wrk cannot."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvloop

from benchmarks.messages import HOST

T = TypeVar("T")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop, which uses less processor time than asyncio's own loop."""
    return uvloop.run(work)


class Connection:
    """A persistent connection that sends one request at a time.

    It is opened again if the server has closed it, as it does with those that are idle for long.
    """

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(port, *await asyncio.open_connection(HOST, port))

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request. Returns the status and the body."""
        if self._reader.at_eof():
            self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        return status, await self._reader.readexactly(length_of(head))

    async def call(self, request: bytes) -> dict[str, Any]:
        """Send a request that must succeed. Returns the JSON of its answer."""
        status, body = await self.exchange(request)
        if status != 200:
            raise RuntimeError(f"answered {status}: {body[:200]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def close(self) -> None:
        self._writer.close()


def length_of(head: bytes) -> int:
    """The length of the body. A 204 has none, and no server here uses chunked encoding."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            raise ValueError("the answer comes in chunks")
    return 0
