"""A connection of psycopg2 whose every wait has a deadline, and whose commits are confirmed."""

import socket
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import extensions

from database.engine import deadlines
from database.engine.commits import CommitNotConfirmed


class Cursor(extensions.cursor):
    """Bounds what it sends by the deadline. Rows are fetched from memory."""

    connection: "Connection"

    def execute(self, *arguments: Any) -> None:
        """Raises NoAnswer."""
        with deadlines.bounded(self.connection.socket):
            super().execute(*arguments)

    def executemany(self, *arguments: Any) -> None:
        """Raises NoAnswer."""
        with deadlines.bounded(self.connection.socket):
            super().executemany(*arguments)


class Connection(extensions.connection):
    """Takes the place of psycopg2's own where an engine of ours connects."""

    on_abandoned: Callable[[], None] | None = None
    """Called if COMMIT is not answered within the deadline."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_factory = Cursor
        # A duplicate, because libpq may close its own while we are about to shut it down.
        self.socket = socket.fromfd(self.fileno(), socket.AF_INET, socket.SOCK_STREAM)

    def commit(self) -> None:
        """Raises CommitNotConfirmed, and InternalError where PostgreSQL would roll back instead."""
        if self.get_transaction_status() == extensions.TRANSACTION_STATUS_INERROR:
            raise psycopg2.InternalError("a statement of the transaction has failed")
        del self.notices[:]
        try:
            with deadlines.bounded(self.socket):
                super().commit()
        except deadlines.NoAnswer:
            if self.on_abandoned is not None:
                self.on_abandoned()
            raise
        if self.notices:
            raise CommitNotConfirmed(self.notices[0].strip())

    def rollback(self) -> None:
        """Raises NoAnswer."""
        with deadlines.bounded(self.socket):
            super().rollback()

    def close(self) -> None:
        """Close both descriptors of the socket."""
        super().close()
        self.socket.close()
