"""Provides what every scenario needs: a PostgreSQL, a folder, and servers stopped at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.options import Options
from benchmarks.rounds import say
from benchmarks.servers import Server
from harness.postgresql import PostgreSQL

# Enough connections for all peers at once, and the memory of a small server.
POSTGRESQL_OPTIONS = {"max_connections": 200, "shared_buffers": "1GB", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class Workspace:
    options: Options
    postgres: PostgreSQL
    folder: Path
    closing: ExitStack

    def start(self, server: Server) -> Server:
        """Start a server, which is stopped when the workspace closes."""
        server.start(self.folder)
        self.closing.callback(server.stop)
        say(f"{server.name} serves after {server.seconds_to_serve:.2f} s")
        return server


@contextmanager
def open_workspace(options: Options) -> Iterator[Workspace]:
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        postgres = closing.enter_context(PostgreSQL.launch(options=POSTGRESQL_OPTIONS))
        yield Workspace(options, postgres, folder, closing)
