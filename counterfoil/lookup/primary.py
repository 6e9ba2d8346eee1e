"""The primary beside standbys: it gives marks, and answers what no standby can answer."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from counterfoil.lookup import marks
from counterfoil.lookup.connection import LookupConnection
from counterfoil.lookup.marks import Mark
from counterfoil.lookup.postgresql import ConnectionPool


class PrimaryConnection(LookupConnection):
    """A connection for lookups that gives marks, too."""

    _CHECK = "SELECT pg_is_in_recovery(), system_identifier FROM pg_control_system()"
    _system = 0

    def mark(self) -> "asyncio.Future[Mark | None]":
        """A mark of this moment, or None if the reign is that of a former primary."""
        statement = "EXECUTE mark" if self._prepared_statements else marks.MARK
        return self._execute(self._message(statement), self._read_mark)

    def _read_mark(self, found: Sequence[Any]) -> Mark | None:
        if not found:
            return None
        ((position, nonce, number),) = found
        return Mark(position, nonce, number, self._system)

    def _prepared(self) -> Iterator[str]:
        yield from super()._prepared()
        yield f"PREPARE mark AS {marks.MARK}"

    def _accept(self, properties: Sequence[Any]) -> None:
        super()._accept(properties)
        self._system = properties[1]


class PrimaryLookup(ConnectionPool[PrimaryConnection]):
    """Connections of which each has one mark or one batch in flight at a time."""

    def mark(self) -> "asyncio.Future[Mark | None]":
        """A mark of this moment. To be called while a connection is free, as `find` is."""
        connection = self.take()
        future = connection.mark()
        future.add_done_callback(lambda _: self.release(connection))
        return future

    def _create(self, options: Mapping[str, Any], **arguments: Any) -> PrimaryConnection:
        return PrimaryConnection(options, **arguments)
