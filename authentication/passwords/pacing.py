"""How fast the passwords of strangers are hashed, and how many of them may wait.

A flood of guesses takes whatever it is given, and its share of a core delays everybody's token
checks. So while strangers are refused for want of places, and tokens are checked, each hash of
theirs is followed by a rest. Hardly any of them would have had a turn anyway.
"""

import math
import time
from collections.abc import Callable

# For each second of hashing. A fifth of a core is what a flood gets then.
_REST = 4
_FLOOD_SECONDS = 1.0
# Hashes do not all take equally long.
_SURELY = 0.8


class Pace:
    """`is_in_demand` tells whether others need the processor. Of `clock` differences matter."""

    def __init__(
        self, *, is_in_demand: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_in_demand = is_in_demand
        self._clock = clock
        self._seconds_each = 0.0
        self._refused_at = self._rest_ends_at = -math.inf

    def note_refusal(self) -> None:
        """A stranger has been refused for want of a place."""
        self._refused_at = self._clock()

    def note_hash(self, seconds: float) -> None:
        """A password has been hashed, which took so long."""
        self._seconds_each = seconds
        if self._is_flooded():
            self._rest_ends_at = self._clock() + _REST * seconds

    def rest_seconds(self) -> float:
        """How long strangers have to wait until the next of them has a turn."""
        return max(0.0, self._rest_ends_at - self._clock())

    def most_waiting(self, *, threads: int, deadline_seconds: float) -> float:
        """How many strangers can wait and still be served in time: the others would in vain."""
        each = self._seconds_each * (1 + _REST if self._is_flooded() else 1)
        return max(1.0, _SURELY * deadline_seconds * threads / each) if each else math.inf

    def _is_flooded(self) -> bool:
        return self._is_in_demand() and self._clock() - self._refused_at < _FLOOD_SECONDS
