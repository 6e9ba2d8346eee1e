"""The client processes of the revocation scenario, which use tokens until they are rejected."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_int
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from typing import Any

from benchmarks.client import Connection, run_loop

PROCESSES = 2
# How often a rejected token is tried again. It must never be accepted.
TRIES_AFTER = 3
LONGEST_SECONDS = 30.0


@dataclass
class Uses:
    """The answers to one process, by the number of the token. Times are those of CLOCK_MONOTONIC.

    `accepted` has the starts of requests answered with 200, `rejected` the end of the first 401.
    """

    accepted: dict[int, list[float]] = field(default_factory=dict)
    rejected: dict[int, float] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Clients:
    """The running processes. `counters` has an array of uses per token for each process."""

    connections: int
    counters: Sequence[Any]
    pipes: Sequence[Pipe]
    processes: Sequence[SpawnProcess]

    def have_used(self, token: int, times: int) -> bool:
        return all(counter[token] >= times for counter in self.counters)

    def collect(self) -> list[Uses]:
        """Wait until every process has been rejected with every token."""
        collected = []
        for pipe in self.pipes:
            if not pipe.poll(LONGEST_SECONDS):
                raise RuntimeError("a revoked token is still accepted")
            collected.append(pipe.recv())
        return collected


@contextmanager
def running_clients(port: int, requests: Sequence[bytes], connections: int) -> Iterator[Clients]:
    """Start the processes. Each uses all tokens; `requests` has one request per token."""
    # Spawned, because a forked child would share the parent's event loop and sockets.
    context = multiprocessing.get_context("spawn")
    counters, pipes, processes = [], [], []
    for _ in range(PROCESSES):
        # No lock is needed: each counter has one writer, and a stale read only delays the reader.
        counter = context.RawArray(c_int, len(requests))
        ours, theirs = context.Pipe(duplex=False)
        arguments = (port, requests, connections, counter, theirs)
        process = context.Process(target=use_tokens, args=arguments, daemon=True)
        process.start()
        counters.append(counter)
        pipes.append(ours)
        processes.append(process)
    try:
        yield Clients(connections, counters, pipes, processes)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def use_tokens(
    port: int, requests: Sequence[bytes], connections: int, counter: Any, pipe: Pipe
) -> None:
    """The main function of a client process."""
    uses = Uses()
    run_loop(use_all(port, requests, connections, counter, uses))
    pipe.send(uses)


async def use_all(
    port: int, requests: Sequence[bytes], connections: int, counter: Any, uses: Uses
) -> None:
    async with asyncio.TaskGroup() as group:
        for first in range(connections):
            tokens = range(first, len(requests), connections)
            group.create_task(use_in_turn(port, requests, tokens, counter, uses))


async def use_in_turn(
    port: int, requests: Sequence[bytes], tokens: range, counter: Any, uses: Uses
) -> None:
    connection = await Connection.open(port)
    for token in tokens:
        await use_until_rejected(connection, requests[token], token, counter, uses)
        await try_again(connection, requests[token], token, uses)
    connection.close()


async def use_until_rejected(
    connection: Connection, request: bytes, token: int, counter: Any, uses: Uses
) -> None:
    accepted = uses.accepted.setdefault(token, [])
    while True:
        started = time.monotonic()
        status, _ = await connection.exchange(request)
        if status == 200:
            accepted.append(started)
            counter[token] += 1
        elif status == 401:
            uses.rejected[token] = time.monotonic()
            return
        else:
            uses.unexpected.append(f"token {token}: {status}")


async def try_again(connection: Connection, request: bytes, token: int, uses: Uses) -> None:
    for _ in range(TRIES_AFTER):
        started = time.monotonic()
        status, _ = await connection.exchange(request)
        if status == 200:
            uses.accepted[token].append(started)
        elif status != 401:
            uses.unexpected.append(f"token {token}: {status}")
