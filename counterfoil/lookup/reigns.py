"""Remembers the newest reign, so that connections to a former primary are closed."""

from collections.abc import Callable, Mapping
from typing import Any

from counterfoil.errors import DatabaseUnavailable

Host = tuple[str, str]


class Reigns:
    """Shared by all connections of a process: what one of them learns holds for the others.

    Written on the event loop, and read in threads too.
    """

    def __init__(self) -> None:
        self.newest = 0
        self.system = 0
        """Identifies the cluster. Of other clusters nothing is noted."""
        self.on_newer: Callable[[], None] = lambda: None
        """Called when a reign has taken the place of one that was known before."""
        self._former: frozenset[Host] = frozenset()

    def enter(self, system: int) -> None:
        """The primary belongs to this cluster, whose reigns count from now on."""
        if system != self.system:
            self.system, self.newest, self._former = system, 0, frozenset()

    def note(self, number: int) -> None:
        """There is a reign of this number."""
        if number > self.newest:
            is_first, self.newest = not self.newest, number
            if not is_first:
                self.on_newer()

    def note_host(self, host: Host, *, is_former: bool) -> None:
        """Whether a server takes itself for the primary although there is a newer reign."""
        self._former = self._former | {host} if is_former else self._former - {host}

    def reject_former(self, number: int | None) -> None:
        """Raises DatabaseUnavailable for a server of an older reign."""
        if number is not None and number < self.newest:
            raise DatabaseUnavailable("the server is a former primary")

    def without_former(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options without the hosts that are former primaries, unless all of them are."""
        if not self._former:
            return dict(options)
        hosts = hosts_of(options)
        kept = [one for one in hosts if (one["host"], one["port"]) not in self._former]
        if len(hosts) == len(kept) or not kept:
            return dict(options)
        return {**options, **{name: ",".join(one[name] for one in kept) for name in kept[0]}}


def hosts_of(options: Mapping[str, Any]) -> list[dict[str, str]]:
    """What libpq takes as parallel lists, a dictionary for each host: host, port, hostaddr."""
    columns = {"host": str(options.get("host") or "localhost").split(",")}
    if options.get("hostaddr"):
        columns["hostaddr"] = str(options["hostaddr"]).split(",")
    ports = str(options.get("port") or "").split(",")
    count = len(columns["host"])
    columns["port"] = [port or "5432" for port in (ports * count if len(ports) == 1 else ports)]
    return [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
