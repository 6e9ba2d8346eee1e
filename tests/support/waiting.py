"""Waits for what happens by itself, by asking again and again."""

import time
from collections.abc import Callable

_SECONDS = 30.0


def until(holds: Callable[[], object], *, seconds: float = _SECONDS) -> None:
    """Returns once it holds; fails if it still does not after a time that is long for anything."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "this did not come to hold"
        time.sleep(0.02)
