"""A TCP relay in front of a server, which can be slow, swallow what it is sent, or lose answers."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.engine import make_url

from harness.processes import free_port

# How psycopg2 asks for it: a simple query, which ends in NUL.
_COMMIT = b"COMMIT\x00"

T = TypeVar("T")


class Relay:
    """Its attributes may be changed at any time, and hold for what is passed on from then on."""

    def __init__(self, target_port: int) -> None:
        self.delay_seconds = 0.0
        """Held back on the way to the server: what it adds to each round trip."""
        self.swallows = False
        """Takes everything, new connections too, and passes nothing on; nobody is told."""
        self.commit_answers_to_lose = 0
        """So many times a COMMIT reaches the server, but the client loses the connection."""
        self.port = free_port()
        self._target_port = target_port
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._server = self._call(
            lambda: asyncio.start_server(self._accept, "127.0.0.1", self.port)
        )

    def url(self, url: str) -> str:
        """The address of a database, by way of this relay."""
        return make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def cut(self) -> None:
        """Break every connection that there is; new ones are welcome."""
        self._call(self._cut)

    def forget(self) -> None:
        """Swallow what comes on the connections that there are; new ones are as good as ever."""
        self._call(self._forget)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer)
        self._links.add(link)
        try:
            await link.run(reader, self._target_port)
        finally:
            self._links.discard(link)

    async def _cut(self) -> None:
        for link in list(self._links):
            link.close()

    async def _forget(self) -> None:
        for link in self._links:
            link.is_forgotten = True

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


class _Link:
    """One connection through the relay."""

    def __init__(self, relay: Relay, client: asyncio.StreamWriter) -> None:
        self._relay = relay
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._loses_answer = False
        self.is_forgotten = False

    async def run(self, from_client: asyncio.StreamReader, target_port: int) -> None:
        with suppress(OSError):
            from_server, self._server = await asyncio.open_connection("127.0.0.1", target_port)
            ways = [
                asyncio.ensure_future(self._to_server(from_client, self._server)),
                asyncio.ensure_future(self._to_client(from_server)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self.close()
            await asyncio.wait(ways)
        self.close()

    def close(self) -> None:
        for writer in (self._client, self._server):
            if writer is not None:
                writer.transport.abort()

    async def _to_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self._relay.delay_seconds)
                if self._swallows():
                    continue
                if _COMMIT in data and self._relay.commit_answers_to_lose > 0:
                    self._relay.commit_answers_to_lose -= 1
                    self._loses_answer = True
                writer.write(data)

    async def _to_client(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if self._loses_answer:
                    return
                if not self._swallows():
                    self._client.write(data)

    def _swallows(self) -> bool:
        return self._relay.swallows or self.is_forgotten
