"""Asks every known server once a second which reign it belongs to.

The primary's own answers cannot show that it was replaced: one that was frozen, or cut off from the
others, does not know. A standby that follows the new primary does, and so does that itself.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from counterfoil.errors import DatabaseUnavailable
from counterfoil.lookup.connection import LookupConnection
from counterfoil.lookup.postgresql import ConnectionPool
from counterfoil.lookup.reigns import Reigns, hosts_of

_SECONDS = 1.0
_STATE = "SELECT pg_is_in_recovery(), number, system_identifier FROM reign, pg_control_system()"


class _State(NamedTuple):
    is_standby: bool
    number: int
    system: int


class _WatchConnection(LookupConnection):
    _BEGIN = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"

    def ask(self) -> "asyncio.Future[list[_State]]":
        """The server's state, or nothing if no reign has begun."""
        return self._execute(self._message(_STATE), lambda found: [_State(*row) for row in found])

    def _prepared(self) -> Iterator[str]:
        yield from ()

    def _accept(self, properties: Sequence[Any]) -> None:
        """Each server may be asked, whatever it is."""

    def _choose_host(self, resolved: dict[str, Any]) -> dict[str, Any]:
        return resolved


class _WatchedHost(ConnectionPool[_WatchConnection]):
    async def ask(self) -> list[_State]:
        """Raises DatabaseUnavailable."""
        if not self.is_free():
            return []
        connection = self.take()
        try:
            return await connection.ask()
        finally:
            self.release(connection)

    def _create(self, options: Mapping[str, Any], **arguments: Any) -> _WatchConnection:
        return _WatchConnection(options, **arguments)

    def _log_cause(self, cause: BaseException) -> None:
        """Of a server that is down, those connections tell that are used for lookups."""


class Watch:
    """Notes in `reigns` what the servers answer. `primary` and `standbys` are libpq's options."""

    def __init__(
        self,
        primary: Mapping[str, Any],
        standbys: Sequence[Mapping[str, Any]],
        reigns: Reigns,
        **shared: Any,
    ) -> None:
        self._reigns = reigns
        hosts = hosts_of(primary)
        # A single one is asked for marks anyway.
        watched = [{**primary, **host} for host in hosts] if len(hosts) > 1 else []
        self._hosts = [
            _WatchedHost({**options, "target_session_attrs": "any"}, connections=1, **shared)
            for options in [*watched, *standbys]
        ]
        self._names = [(host["host"], host["port"]) for host in hosts[: len(watched)]]
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Connect and begin to ask, in the background."""
        loop = asyncio.get_running_loop()
        names = [*self._names, *[None] * (len(self._hosts) - len(self._names))]
        self._tasks = [
            loop.create_task(self._attend(host, name))
            for host, name in zip(self._hosts, names, strict=True)
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for host in self._hosts:
            await host.close()

    async def _attend(self, host: _WatchedHost, name: tuple[str, str] | None) -> None:
        await host.open()
        while True:
            with suppress(DatabaseUnavailable):
                for state in await host.ask():
                    self._note(state, name)
            await asyncio.sleep(_SECONDS)

    def _note(self, state: _State, name: tuple[str, str] | None) -> None:
        # One that was restored from a dump counts its own reigns.
        if state.system != self._reigns.system:
            return
        if name is not None:
            is_former = not state.is_standby and state.number < self._reigns.newest
            self._reigns.note_host(name, is_former=is_former)
        self._reigns.note(state.number)
