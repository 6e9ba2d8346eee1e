"""Bounds every wait for PostgreSQL on our side of the connection.

A server that hangs (a stopped process, a network that swallows packets) answers no time-out of its
own and keeps the TCP connection open, so only the client can end the wait. psycopg2 hands each wait
to a callback; this one gives up at the deadline of the work in progress. psycopg2 then closes the
connection, which is what must become of it: its state is unknown.
"""

import contextvars
import math
import select
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import psycopg2
from psycopg2 import extensions

from counterfoil import budget

T = TypeVar("T")


_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)
_wait_timeout: contextvars.ContextVar[float] = contextvars.ContextVar(
    "wait_timeout", default=math.inf
)


class NoAnswer(psycopg2.OperationalError):
    """The database was silent for longer than we wait. The connection is of no use any more."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound all waiting for the database in this block, also in threads it hands work to.

    The block has `seconds`, or what is left of the request's budget, from which its time is taken.
    """
    began = time.monotonic()
    with _set(_deadline, began + budget.remaining(seconds)):
        try:
            yield
        finally:
            budget.charge(time.monotonic() - began)


@contextmanager
def shorter_deadline(seconds: float) -> Iterator[None]:
    """Bound a part of the work in progress more closely than the rest of it."""
    remaining = remaining_seconds()
    bound = seconds if remaining is None else min(seconds, remaining)
    with _set(_deadline, time.monotonic() + bound):
        yield


def wait_timeout(seconds: float) -> AbstractContextManager[None]:
    """Bound each single wait in this block. NoAnswer may come before the deadline has passed."""
    return _set(_wait_timeout, seconds)


def remaining_seconds() -> float | None:
    """What is left of the current deadline, never below zero. None where none is set."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def install() -> None:
    """Make psycopg2 observe deadlines. Work with no deadline waits as long as it takes."""
    extensions.set_wait_callback(_wait)


@contextmanager
def _set(variable: contextvars.ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _wait(connection: extensions.connection) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        # poll(2), unlike select(2), has no upper limit on the number of the descriptor.
        poller = select.poll()
        events = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), events)
        _poll_until_ready(poller)


def _poll_until_ready(poller: select.poll) -> None:
    remaining = remaining_seconds()
    seconds = min(math.inf if remaining is None else remaining, _wait_timeout.get())
    if not poller.poll(None if seconds == math.inf else seconds * 1000):
        raise NoAnswer("the database did not answer within the deadline")
