"""Scenario: tokens are revoked while clients use them; no use begun afterwards may succeed.

Two processes of clients hold half of the connections each. Connection j of either uses the same
token as connection j of the other, over and over, until it is refused, and then takes the next.
Meanwhile tokens in use are revoked by endpoint, by SQL and by command. All processes read one clock
(CLOCK_MONOTONIC). A revocation counts from the moment it was acknowledged: the end of its commit,
or the answer of its endpoint.
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
from benchmarks.revocation_ways import Revoke, open_ways
from benchmarks.rounds import say
from benchmarks.workspace import Workspace

TOKENS = 10_000
QUICK_TOKENS = 600
WORKERS = 2
CONNECTIONS = 64
# How often both connections must have used a token before it is revoked.
USES_BEFORE = 3
# Revocations under way at a time: the connections that they leave alone keep up the load.
AT_A_TIME = 8
LONGEST_SECONDS = 20.0
PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Revocation:
    """When it was acknowledged, and by which way it was done."""

    token: int
    way: str
    acknowledged: float


def run(work: Workspace, result: Result) -> None:
    count = QUICK_TOKENS if work.options.quick else TOKENS
    # A user for each token, so that every SQL statement ends one token and no other.
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
    async with open_ways(port, database) as ways:
        return await revoke_by(clients, count, ways)


async def revoke_by(clients: Clients, count: int, ways: Sequence[Revoke]) -> list[Revocation]:
    """Revoke each token once both its connections use it, each next one by the next way."""
    done: list[Revocation] = []
    places = asyncio.Semaphore(AT_A_TIME)

    async def revoke_one_after_another(connection: int) -> None:
        for token in range(connection, count, clients.connections):
            await wait_for_uses(clients, token)
            revoke = ways[token % len(ways)]
            async with places:
                way = await revoke(token)
                done.append(Revocation(token, way, time.monotonic()))
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
    strange = [text for one in uses for text in one.unexpected]
    if strange:
        result.failures.append(f"{len(strange)} unexpected answers, the first: {strange[0]}")
    answers = sum(len(starts) for one in uses for starts in one.accepted.values())
    result.figures["revocation.late"] = figure_of([late])
    result.figures["revocation.tokens"] = figure_of([len(revocations)])
    result.figures["revocation.accepted"] = figure_of([answers])
    for way in sorted({revocation.way for revocation in revocations}):
        result.figures |= delay_figures(way, [one for one in revocations if one.way == way], uses)


def count_late(revocations: list[Revocation], uses: list[Uses]) -> int:
    """Answers 200 to requests that were begun after the revocation had been acknowledged."""
    return sum(
        started > revocation.acknowledged
        for revocation in revocations
        for one in uses
        for started in one.accepted.get(revocation.token, ())
    )


def delay_figures(way: str, revocations: list[Revocation], uses: list[Uses]) -> Figures:
    """Milliseconds from the acknowledgement to the end of the first 401, over both connections.

    Below zero where the clients learned of it before the one who revoked.
    """
    delays = sorted(
        1000 * (one.refused[revocation.token] - revocation.acknowledged)
        for revocation in revocations
        for one in uses
    )
    ranks = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"revocation.{way}.{name}": figure_of([delays[round(rank * (len(delays) - 1))]])
        for name, rank in ranks.items()
    } | {f"revocation.{way}.tokens": figure_of([len(revocations)])}
