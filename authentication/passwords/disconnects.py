"""Stops waiting for a password hash once the client has disconnected."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

UntilDisconnected = Callable[[], Awaitable[None]]
"""Returns once the client of the request has disconnected."""

T = TypeVar("T")

_until_disconnected: ContextVar[UntilDisconnected | None] = ContextVar(
    "until_disconnected", default=None
)


def watch(until_disconnected: UntilDisconnected) -> None:
    """Set the function that waits for a disconnect in the current request."""
    _until_disconnected.set(until_disconnected)


async def wait(answer: "asyncio.Future[T]", *, seconds: float) -> bool:
    """Wait until there is an answer, the time is over or the client has disconnected.

    Returns False if only the time is over.
    """
    disconnect = _disconnect()
    try:
        done, _ = await asyncio.wait(
            {answer, *disconnect}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in disconnect:
            task.cancel()
    return bool(done)


def _disconnect() -> set["asyncio.Future[Any]"]:
    """Tasks that end with a disconnect. Empty outside of requests."""
    until_disconnected = _until_disconnected.get()
    return set() if until_disconnected is None else {asyncio.ensure_future(until_disconnected())}
