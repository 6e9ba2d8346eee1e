"""Keeps recent rejections and counts of unknown tokens in the memory of one worker.

Neither costs a query. A rejection is kept for so short a time that no client is rejected longer
than by the counters in the database; guesses at 256-bit tokens need no exact count.
"""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from authentication.errors import TooManyAttempts
from authentication.throttling.counting import Exceeded, longest_retry_after

_REJECTION_SECONDS = 1.0
_WINDOW_SECONDS = 60.0
_MAX_ENTRIES = 10_000

Clock = Callable[[], float]
"""Returns seconds since an arbitrary moment."""


class _Entry(NamedTuple):
    value: int
    ends_at: float


class _Memory:
    """A bounded number of entries, each of which expires."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, *key: str) -> _Entry | None:
        entry = self._entries.get(_digest(key))
        return entry if entry is not None and entry.ends_at > self._clock() else None

    def put(self, *key: str, value: int, ends_at: float) -> None:
        digest = _digest(key)
        if digest not in self._entries and len(self._entries) >= _MAX_ENTRIES:
            # The first is the oldest. A flood from more clients than that is not limited here.
            del self._entries[next(iter(self._entries))]
        self._entries[digest] = _Entry(value, ends_at)


class RecentRejections:
    """Logins that were rejected a moment ago, so that the same ones need not be counted again."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._memory = _Memory(clock)

    def add(
        self, name: str, network: str | None, exceeded: Sequence[Exceeded], *, is_known: bool
    ) -> None:
        """Keeps the rejection of a login. `is_known`: its user has logged in from there before.

        If not, the rejection applies to all other clients that try the same account, or that come
        from the same network, whichever has exceeded its limit.
        """
        self._put("login", name, network or "", seconds=longest_retry_after(exceeded))
        if is_known:
            return
        of_network = [one for one in exceeded if one.limit.is_of_network]
        of_account = [one for one in exceeded if not one.limit.is_of_network]
        if of_network:
            self._put("network", network or "", seconds=longest_retry_after(of_network))
        if of_account:
            self._put("account", name, seconds=longest_retry_after(of_account))

    def find(self, name: str, network: str | None) -> TooManyAttempts | None:
        """The rejection of this very login."""
        return self._find("login", name, network or "")

    def find_for_unknown(self, name: str, network: str | None) -> TooManyAttempts | None:
        """The rejection of any untrusted login to the account or from the network."""
        return self._find("network", network or "") or self._find("account", name)

    def _put(self, *key: str, seconds: int) -> None:
        self._memory.put(*key, value=seconds, ends_at=self._clock() + _REJECTION_SECONDS)

    def _find(self, *key: str) -> TooManyAttempts | None:
        entry = self._memory.get(*key)
        return None if entry is None else TooManyAttempts(entry.value)


class UnknownTokenCounter:
    """Counts the unknown tokens that a client sends in a minute."""

    def __init__(self, *, is_on: bool = True, clock: Clock = time.monotonic) -> None:
        self._is_on = is_on
        self._clock = clock
        self._memory = _Memory(clock)

    def count(self, *key: str, limit: int) -> None:
        """Counts an unknown token. Raises TooManyAttempts past the limit.

        Call it only when a lookup has found nothing: then no number of made-up tokens can cause the
        rejection of a real one.
        """
        if not self._is_on:
            return
        entry = self._memory.get(*key)
        count = entry.value + 1 if entry else 1
        ends_at = entry.ends_at if entry else self._clock() + _WINDOW_SECONDS
        self._memory.put(*key, value=count, ends_at=ends_at)
        if count > limit:
            raise TooManyAttempts(max(1, round(ends_at - self._clock())))


def _digest(key: tuple[str, ...]) -> bytes:
    # All keys have the same size, however long the names are that a client makes up.
    return sha256("\x00".join(key).encode()).digest()
