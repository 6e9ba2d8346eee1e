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
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2 import extensions


@dataclass(slots=True)
class _Allowance:
    """Shared by all that one request does, in whichever thread or copied context."""

    seconds: float


_allowance: contextvars.ContextVar[_Allowance | None] = contextvars.ContextVar(
    "allowance", default=None
)
_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)
_patience: contextvars.ContextVar[float] = contextvars.ContextVar("patience", default=math.inf)


class NoAnswer(psycopg2.OperationalError):
    """The database was silent for longer than we wait. The connection is of no use any more."""


def allow(seconds: float) -> None:
    """Let the request that begins here wait for the database so long, all its waits together."""
    _allowance.set(_Allowance(seconds))


def allowed(seconds: float) -> float:
    """So many seconds, or what is left to this request if that is less."""
    allowance = _allowance.get()
    return seconds if allowance is None else max(0.0, min(seconds, allowance.seconds))


def spend(seconds: float) -> None:
    """Take from what is left to this request. Outside of requests nothing is counted."""
    if (allowance := _allowance.get()) is not None:
        allowance.seconds -= seconds


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound all waiting for the database in this block, also in threads it hands work to."""
    began = time.monotonic()
    with _until(began + allowed(seconds)):
        try:
            yield
        finally:
            spend(time.monotonic() - began)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Bound a part of the work in progress more closely than the rest of it."""
    remaining = remaining_seconds()
    with _until(time.monotonic() + (seconds if remaining is None else min(seconds, remaining))):
        yield


@contextmanager
def each_wait_at_most(seconds: float) -> Iterator[None]:
    """Bound each single wait in this block. NoAnswer may come before the deadline has passed."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def remaining_seconds() -> float | None:
    """What is left of the current deadline, never below zero. None where none is set."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def install() -> None:
    """Make psycopg2 observe deadlines. Work with no deadline waits as long as it takes."""
    extensions.set_wait_callback(_wait)


@contextmanager
def _until(deadline: float) -> Iterator[None]:
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def _wait(connection: extensions.connection) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        # poll(2), unlike select(2), has no upper limit on the number of the descriptor.
        poller = select.poll()
        events = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), events)
        _poll_until_ready(poller)


def _poll_until_ready(poller: select.poll) -> None:
    remaining = remaining_seconds()
    seconds = min(math.inf if remaining is None else remaining, _patience.get())
    if not poller.poll(None if seconds == math.inf else seconds * 1000):
        raise NoAnswer("the database did not answer within the deadline")
