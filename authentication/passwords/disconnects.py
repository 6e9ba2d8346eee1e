"""Lets work that takes long find out that nobody waits for its answer any more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

UntilGone = Callable[[], Awaitable[None]]
"""Returns once the caller has hung up."""

T = TypeVar("T")

_until_gone: ContextVar[UntilGone | None] = ContextVar("until_gone", default=None)


def introduce(until_gone: UntilGone) -> None:
    """Tell how the caller of the request that begins here is seen to go."""
    _until_gone.set(until_gone)


async def wait(answer: "asyncio.Future[T]", *, seconds: float) -> bool:
    """Wait until there is an answer, the time is over or the caller has gone.

    Returns False if only the time is over.
    """
    going = _watch()
    try:
        done, _ = await asyncio.wait(
            {answer, *going}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in going:
            task.cancel()
    return bool(done)


def _watch() -> set["asyncio.Future[Any]"]:
    until_gone = _until_gone.get()
    return set() if until_gone is None else {asyncio.ensure_future(until_gone())}
