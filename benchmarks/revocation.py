"""Scenario: tokens are revoked while clients use them, and no request begun afterwards may succeed.

Two client processes have half of the connections each. Connection j of both uses the same token
repeatedly until it is rejected, and then the next one. Meanwhile tokens in use are revoked by
endpoint, by SQL and by command. All processes use the same clock (CLOCK_MONOTONIC). A revocation
takes effect when it is acknowledged: by the end of its commit, or the answer of its endpoint.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import product
from benchmarks.client import run_loop
from benchmarks.figures import Figures, figure_of
from benchmarks.messages import get
from benchmarks.results import Result
from benchmarks.revocation_clients import PROCESSES, Clients, Uses, running_clients
from benchmarks.revocation_methods import Revoke, open_methods
from benchmarks.rounds import say
from benchmarks.workspace import Workspace

TOKENS = 10_000
QUICK_TOKENS = 600
WORKERS = 2
CONNECTIONS = 64
# How often both connections must have used a token before it is revoked.
USES_BEFORE = 3
# The most concurrent revocations, so that the other connections keep up the load.
MAX_CONCURRENT = 8
LONGEST_SECONDS = 20.0
PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Revocation:
    """A revocation by a method, and the time at which it was acknowledged."""

    token: int
    method: str
    acknowledged: float


def run(work: Workspace, result: Result) -> None:
    count = QUICK_TOKENS if work.options.quick else TOKENS
    # One user per token, so that every SQL statement revokes exactly one token.
    database = product.set_up_product(work, "revocation", count, count, count)
    server = product.start_product(work, database, workers=WORKERS)
    requests = [get("/users/me", token) for token in database.tokens]
    with running_clients(server.port, requests, CONNECTIONS // PROCESSES) as clients:
        revocations = run_loop(revoke_all(clients, count, server.port, database))
        uses = clients.collect()
    note_figures(revocations, uses, result)


async def revoke_all(
    clients: Clients, count: int, port: int, database: product.Product
) -> list[Revocation]:
    async with open_methods(port, database) as methods:
        return await revoke_by(clients, count, methods)


async def revoke_by(clients: Clients, count: int, methods: Sequence[Revoke]) -> list[Revocation]:
    """Revoke each token once both its connections use it, with the methods in rotation."""
    done: list[Revocation] = []
    slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def revoke_one_after_another(connection: int) -> None:
        for token in range(connection, count, clients.connections):
            await wait_for_uses(clients, token)
            revoke = methods[token % len(methods)]
            async with slots:
                method = await revoke(token)
                done.append(Revocation(token, method, time.monotonic()))
            if len(done) % 1000 == 0:
                say(f"{len(done)} of {count} revoked")

    async with asyncio.TaskGroup() as group:
        for connection in range(clients.connections):
            group.create_task(revoke_one_after_another(connection))
    return done


async def wait_for_uses(clients: Clients, token: int) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not clients.have_used(token, USES_BEFORE):
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"token {token} is not used: the one before it may still be accepted"
            )
        await asyncio.sleep(PAUSE_SECONDS)


def note_figures(revocations: list[Revocation], uses: list[Uses], result: Result) -> None:
    late = count_late(revocations, uses)
    unexpected = [text for one in uses for text in one.unexpected]
    if unexpected:
        result.failures.append(f"{len(unexpected)} unexpected answers, the first: {unexpected[0]}")
    answers = sum(len(starts) for one in uses for starts in one.accepted.values())
    result.figures["revocation.late"] = figure_of([late])
    result.figures["revocation.tokens"] = figure_of([len(revocations)])
    result.figures["revocation.accepted"] = figure_of([answers])
    for method in sorted({revocation.method for revocation in revocations}):
        result.figures |= delay_figures(
            method, [one for one in revocations if one.method == method], uses
        )


def count_late(revocations: list[Revocation], uses: list[Uses]) -> int:
    """The number of answers 200 to requests begun after the acknowledgement of the revocation."""
    return sum(
        started > revocation.acknowledged
        for revocation in revocations
        for one in uses
        for started in one.accepted.get(revocation.token, ())
    )


def delay_figures(method: str, revocations: list[Revocation], uses: list[Uses]) -> Figures:
    """Milliseconds from the acknowledgement to the end of the first 401, over both connections.

    Negative if a client was rejected before the acknowledgement arrived.
    """
    delays = sorted(
        1000 * (one.rejected[revocation.token] - revocation.acknowledged)
        for revocation in revocations
        for one in uses
    )
    ranks = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"revocation.{method}.{name}": figure_of([delays[round(rank * (len(delays) - 1))]])
        for name, rank in ranks.items()
    } | {f"revocation.{method}.tokens": figure_of([len(revocations)])}
