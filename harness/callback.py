"""The loopback listener of a native application (RFC 8252, 7.3), which records who calls it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import NamedTuple


class Call(NamedTuple):
    """A request: its path with the query, and the address of the page that it came from."""

    path: str
    referer: str | None


class Listener:
    """`calls` are the requests in their order. `pages` are what it answers, by their paths."""

    def __init__(self, port: int) -> None:
        self.calls: Queue[Call] = Queue()
        self.pages: dict[str, str] = {}
        self.port = port

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback"

    def take(self) -> Call:
        """The next call. Raises queue.Empty if none comes within ten seconds."""
        return self.calls.get(timeout=10)


@contextmanager
def listen() -> Iterator[Listener]:
    """Listen on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = listener.pages.get(self.path)
            if page is None and self.path.startswith("/callback"):
                listener.calls.put(Call(self.path, self.headers.get("Referer")))
                page = "<p>You can close this window.</p>"
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener = Listener(server.server_port)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()
