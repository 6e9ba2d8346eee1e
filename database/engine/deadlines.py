"""Bounds every wait for PostgreSQL on our side of the connection.

A server that hangs (a stopped process, a network that swallows packets) answers no time-out of its
own and keeps the TCP connection open, so only the client can end the wait. Each call of the driver
is made within `bounded`, which gives up at the deadline of the work in progress. The connection is
of no use then, because its state is unknown.
"""

import contextvars
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import extensions

from counterfoil import budget
from database.engine.watchdog import watchdog

_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


class NoAnswer(psycopg2.OperationalError):
    """The database was silent for longer than we wait. The connection is of no use any more."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound all waiting for the database in this block, also in threads it hands work to.

    The block has `seconds`, or what is left of the request's budget, from which its time is taken.
    """
    began = time.monotonic()
    with _set(began + budget.remaining(seconds)):
        try:
            yield
        finally:
            budget.charge(time.monotonic() - began)


@contextmanager
def shorter_deadline(seconds: float) -> Iterator[None]:
    """Bound a part of the work in progress more closely than the rest of it."""
    remaining = remaining_seconds()
    bound = seconds if remaining is None else min(seconds, remaining)
    with _set(time.monotonic() + bound):
        yield


def remaining_seconds() -> float | None:
    """What is left of the current deadline, never below zero. None where none is set."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


@contextmanager
def bounded(open_socket: socket.socket) -> Iterator[None]:
    """Raise NoAnswer for a call of the driver on this socket that lasts beyond the deadline.

    Work with no deadline waits as long as it takes.
    """
    seconds = remaining_seconds()
    if seconds is None:
        yield
        return
    with watchdog.bounded(open_socket, seconds) as wait:
        try:
            yield
        except psycopg2.Error as error:
            if wait.is_over:
                raise NoAnswer("the database did not answer within the deadline") from error
            raise


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl+C end a wait in the main thread: for commands, whose process is ours.

    It works by a callback of psycopg2 that is one for the whole process, and with which COPY fails.
    """
    before = extensions.get_wait_callback()
    extensions.set_wait_callback(_wait)
    try:
        yield
    finally:
        extensions.set_wait_callback(before)


def _wait(connection: extensions.connection) -> None:
    """Wait until a statement is over; Ctrl+C cancels it, and is raised if it has been too late.

    psycopg2's own `wait_select` forgets it then, and the command goes on.
    """
    is_interrupted = False
    while True:
        try:
            state = connection.poll()
            if state == extensions.POLL_OK:
                break
            reads = [connection] if state == extensions.POLL_READ else []
            writes = [connection] if state == extensions.POLL_WRITE else []
            select.select(reads, writes, [])
        except KeyboardInterrupt:
            is_interrupted = True
            connection.cancel()
    if is_interrupted:
        raise KeyboardInterrupt


@contextmanager
def _set(deadline: float) -> Iterator[None]:
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)
