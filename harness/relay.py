"""A TCP relay in front of a server that can add latency, drop data or lose responses."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.engine import make_url

from harness.processes import free_port

# As psycopg2 sends it: a simple query, which ends in NUL.
_COMMIT = b"COMMIT\x00"
# In the first statement of each transaction: see database/engine/postgresql.py.
_BEGIN_READING = b"set_config('transaction_read_only', 'on'"
_BEGIN_WRITING = b"set_config('transaction_read_only', 'off'"

T = TypeVar("T")


class Relay:
    """Forwards connections to a port. Its attributes can be changed at any time."""

    def __init__(self, target_port: int) -> None:
        self.delay_seconds = 0.0
        """The latency added to each round trip, on the way to the server."""
        self.drops_data = False
        """Accepts connections and data, but forwards nothing (a black hole)."""
        self.commit_responses_to_lose = 0
        """How many COMMITs of writing transactions reach the server, but their answers not us."""
        self.target_port = target_port
        """Where new connections lead."""
        self.port = free_port()
        self._connections: set[_Connection] = set()
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._server = self._call(
            lambda: asyncio.start_server(self._accept, "127.0.0.1", self.port)
        )

    def url(self, url: str) -> str:
        """The URL of a database behind this relay."""
        return make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def reset_connections(self) -> None:
        """Reset all existing connections. New ones are not affected."""
        self._call(self._reset_connections)

    def drop_existing_connections(self) -> None:
        """Drop all data of existing connections without a reset. New ones are not affected."""
        self._call(self._drop_existing_connections)

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
        connection = _Connection(self, writer)
        if self._is_closed:
            connection.close()
            return
        self._connections.add(connection)
        try:
            await connection.run(reader, self.target_port)
        finally:
            self._connections.discard(connection)

    async def _reset_connections(self) -> None:
        for connection in list(self._connections):
            connection.close()

    async def _drop_existing_connections(self) -> None:
        for connection in self._connections:
            connection.drops_data = True

    async def _close(self) -> None:
        self._is_closed = True
        # A connection that was accepted in this turn gets its transport in the next one, which
        # asyncio 3.11 leaves open if the server is closed by then (python/cpython#109564).
        for listener in self._server.sockets:
            self._loop.remove_reader(listener)
        await asyncio.sleep(0)
        self._server.close()
        await self._reset_connections()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)


class _Connection:
    """A connection of a client, and the connection to the server that belongs to it."""

    def __init__(self, relay: Relay, client: asyncio.StreamWriter) -> None:
        self._relay = relay
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._loses_response = False
        self._is_writing = False
        self.drops_data = False

    async def run(self, from_client: asyncio.StreamReader, target_port: int) -> None:
        with suppress(OSError):
            from_server, self._server = await asyncio.open_connection("127.0.0.1", target_port)
            directions = [
                asyncio.ensure_future(self._to_server(from_client, self._server)),
                asyncio.ensure_future(self._to_client(from_server)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            self.close()
            await asyncio.wait(directions)
        self.close()

    def close(self) -> None:
        for writer in (self._client, self._server):
            if writer is not None:
                writer.transport.abort()

    async def _to_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self._relay.delay_seconds)
                if self._drops_data():
                    continue
                if _BEGIN_WRITING in data or _BEGIN_READING in data:
                    self._is_writing = _BEGIN_WRITING in data
                if _COMMIT in data and self._is_writing and self._relay.commit_responses_to_lose:
                    self._relay.commit_responses_to_lose -= 1
                    self._loses_response = True
                writer.write(data)

    async def _to_client(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if self._loses_response:
                    return
                if not self._drops_data():
                    self._client.write(data)

    def _drops_data(self) -> bool:
        return self._relay.drops_data or self.drops_data
