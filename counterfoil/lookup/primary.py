"""The primary beside standbys: it gives marks, and answers what no standby can answer."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from counterfoil.lookup import marks
from counterfoil.lookup.connection import LookupConnection
from counterfoil.lookup.marks import Mark
from counterfoil.lookup.postgresql import ConnectionPool
from counterfoil.lookup.reigns import Reigns


class PrimaryConnection(LookupConnection):
    """A connection for lookups that gives marks, too."""

    _CHECK = (
        "SELECT pg_is_in_recovery(), system_identifier, (SELECT number FROM reign)"
        " FROM pg_control_system()"
    )
    _system = 0

    def __init__(self, options: Mapping[str, Any], *, reigns: Reigns, **arguments: Any) -> None:
        super().__init__(options, **arguments)
        self._reigns = reigns

    def mark(self) -> "asyncio.Future[Mark | None]":
        """A mark of this moment, or None if the reign is that of a former primary."""
        statement = "EXECUTE mark" if self._prepared_statements else marks.MARK
        return self._execute(self._message(statement), self._read_mark)

    def _read_mark(self, found: Sequence[Any]) -> Mark | None:
        if not found:
            return None
        ((position, nonce, number, beat),) = found
        self._reigns.reject_former(number)
        return Mark(position, nonce, number, beat, self._system)

    def _prepared(self) -> Iterator[str]:
        yield from super()._prepared()
        yield f"PREPARE mark AS {marks.MARK}"

    def _accept(self, properties: Sequence[Any]) -> None:
        super()._accept(properties)
        _, self._system, number = properties
        self._reigns.enter(self._system)
        self._reigns.reject_former(number)
        self._reigns.note(number or 0)

    def _choose_host(self, resolved: dict[str, Any]) -> dict[str, Any]:
        return super()._choose_host(self._reigns.without_former(resolved))


class PrimaryLookup(ConnectionPool[PrimaryConnection]):
    """Connections of which each has one mark or one batch in flight at a time."""

    def __init__(self, options: Mapping[str, Any], *, reigns: Reigns, **arguments: Any) -> None:
        super().__init__(options, **arguments)
        self._reigns = reigns
        self._outdated: set[PrimaryConnection] = set()

    def mark(self) -> "asyncio.Future[Mark | None]":
        """A mark of this moment. To be called while a connection is free, as `find` is."""
        connection = self.take()
        future = connection.mark()
        future.add_done_callback(lambda _: self.release(connection))
        return future

    def reconnect(self) -> None:
        """Replace every connection, those in use after their answer."""
        for connection in list(self._open):
            if connection in self._free:
                connection.close()
            else:
                self._outdated.add(connection)

    def release(self, connection: PrimaryConnection) -> None:
        if connection in self._outdated:
            self._outdated.remove(connection)
            connection.close()
        super().release(connection)

    def _create(self, options: Mapping[str, Any], **arguments: Any) -> PrimaryConnection:
        return PrimaryConnection(options, reigns=self._reigns, **arguments)
