"""What one worker remembers by itself to turn a flood away: recent refusals, and failed guesses.

Neither touches the database. A refusal is remembered for so short a time that nobody is kept out
longer than by the database's count; guesses at 256-bit tokens need no exact count.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from authentication.errors import TooManyAttempts

_REFUSAL_SECONDS = 1.0
_MISS_WINDOW_SECONDS = 60.0
_MOST_REMEMBERED = 10_000


class _Entry(NamedTuple):
    ends_at: float
    value: int


class FloodMemory:
    """`clock` tells seconds; only differences matter."""

    def __init__(self, *, is_on: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_on = is_on
        self._clock = clock
        self._refusals: dict[bytes, _Entry] = {}
        self._misses: dict[bytes, _Entry] = {}

    def refuse_again(self, *key: str) -> None:
        """Raises TooManyAttempts if the same was refused a moment ago."""
        if refusal := self.find_refusal(*key):
            raise refusal

    def find_refusal(self, *key: str) -> TooManyAttempts | None:
        """What the same was told a moment ago, if that was a refusal."""
        entry = self._find(self._refusals, _digest(key))
        return None if entry is None else TooManyAttempts(entry.value)

    def note_refusal(self, refusal: TooManyAttempts, *key: str) -> None:
        """Answer the same by yourself for a moment."""
        ends_at = self._clock() + _REFUSAL_SECONDS
        self._put(self._refusals, _digest(key), _Entry(ends_at, refusal.retry_after_seconds))

    def count_miss(self, *key: str, limit: int) -> None:
        """Note a token or a caller that is not known. Raises TooManyAttempts past the limit.

        Call it when the lookup has found nothing, and never when it has found something: then
        whoever floods us with garbage can keep nobody from getting an answer about a real token.
        """
        if not self._is_on:
            return
        digest = _digest(key)
        entry = self._find(self._misses, digest)
        ends_at = entry.ends_at if entry else self._clock() + _MISS_WINDOW_SECONDS
        count = entry.value + 1 if entry else 1
        self._put(self._misses, digest, _Entry(ends_at, count))
        if count > limit:
            raise TooManyAttempts(max(1, round(ends_at - self._clock())))

    def _find(self, entries: dict[bytes, _Entry], key: bytes) -> _Entry | None:
        entry = entries.get(key)
        return entry if entry is not None and entry.ends_at > self._clock() else None

    def _put(self, entries: dict[bytes, _Entry], key: bytes, entry: _Entry) -> None:
        if key not in entries and len(entries) >= _MOST_REMEMBERED:
            # The oldest is the first. Whoever floods us from so many places is not stopped here.
            del entries[next(iter(entries))]
        entries[key] = entry


def _digest(key: tuple[str, ...]) -> bytes:
    # Of one length, however long the names are that somebody thinks up.
    return sha256("\x00".join(key).encode()).digest()
