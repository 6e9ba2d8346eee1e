"""A server that stands where another is expected: it hangs, drips, or answers something else."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket

Behaviour = Callable[[socket], None]

_DRIP_SECONDS = 0.1


def hang(connection: socket) -> None:
    """Read everything, answer nothing."""
    while connection.recv(65_536):
        pass


def drip(connection: socket) -> None:
    """Answer byte by byte, so that no timeout between two of them would end it."""
    connection.recv(65_536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + b"X: y\r\n" * 10_000:
        connection.sendall(bytes([byte]))
        time.sleep(_DRIP_SECONDS)


def always(status: str, media_type: str, body: bytes) -> Behaviour:
    """Answer each request with this."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"

    def answer(connection: socket) -> None:
        while connection.recv(65_536):
            connection.sendall(head.encode() + body)

    return answer


@contextmanager
def listening(behaviour: Behaviour) -> Iterator[int]:
    """The port at which a server behaves like this until the block ends."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                behaviour(self.request)
            except OSError:
                # The client has gone.
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
