"""Bounds every wait for PostgreSQL on our side of the connection.

A server that hangs (a stopped process, a network that swallows packets) answers no time-out of its
own and keeps the TCP connection open, so only the client can end the wait. psycopg2 hands each wait
to a callback; this one gives up at the deadline of the work in progress. psycopg2 then closes the
connection, which is what must become of it: its state is unknown.
"""

import contextvars
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import extensions

_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound all waiting for the database in this block, also in threads it hands work to."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining_seconds() -> float | None:
    """What is left of the current deadline, never below zero. None where none is set."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def install() -> None:
    """Make psycopg2 observe deadlines. Work with no deadline waits as long as it takes."""
    extensions.set_wait_callback(_wait)


def _wait(connection: extensions.connection) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        # poll(2), unlike select(2), has no upper limit on the number of the descriptor.
        poller = select.poll()
        events = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), events)
        _poll_until_ready(poller)


def _poll_until_ready(poller: select.poll) -> None:
    seconds = remaining_seconds()
    if not poller.poll(None if seconds is None else seconds * 1000):
        raise psycopg2.OperationalError("the database did not answer within the deadline")
