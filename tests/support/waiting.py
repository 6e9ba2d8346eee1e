"""Waits for asynchronous effects by polling."""

import time
from collections.abc import Callable

from tests.support.client import Client

_SECONDS = 30.0


def until(holds: Callable[[], object], *, seconds: float = _SECONDS) -> None:
    """Return once the condition holds. Fails after `seconds`, which are far more than needed."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)


def flush_deferred_writes(client: Client) -> None:
    """Write everything that the service has deferred: uses, and rejected tokens."""
    service = client.http.app.state.service  # type: ignore[attr-defined]
    portal = client.http.portal
    assert portal is not None
    for writer in (service.last_used, service.api_key_uses, service.rejected_tokens):
        portal.call(writer.stop)
        portal.call(writer.start)
