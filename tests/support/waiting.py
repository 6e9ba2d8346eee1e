"""Waits for what happens by itself, by asking again and again."""

import time
from collections.abc import Callable

from tests.support.client import Client

_SECONDS = 30.0


def until(holds: Callable[[], object], *, seconds: float = _SECONDS) -> None:
    """Returns once it holds; fails if it still does not after a time that is long for anything."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "this did not come to hold"
        time.sleep(0.02)


def write_behind(client: Client) -> None:
    """Have written what waits to be written behind the requests' back."""
    service = client.http.app.state.service  # type: ignore[attr-defined]
    portal = client.http.portal
    assert portal is not None
    for writer in (service.last_used, service.refusals):
        portal.call(writer.stop)
        portal.call(writer.start)
