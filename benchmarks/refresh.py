"""Scenario: refreshes per second, and the processor time that one costs service and database.

Some clients exchange their refresh tokens again and again, each waiting for its answer.
"""

import asyncio
import time

from benchmarks import product
from benchmarks.client import run_loop
from benchmarks.figures import figure_of
from benchmarks.mixed import Client, open_clients
from benchmarks.passwords import hash_password
from benchmarks.processes import cpu_seconds
from benchmarks.results import Result
from benchmarks.rounds import say
from benchmarks.workspace import Workspace

USERS = 1_000
# An account can make as many changes as the run needs.
SETTINGS = {"COUNTERFOIL_LOGIN_THROTTLE": "off", "COUNTERFOIL_WRITES_PER_MINUTE": "1000000"}
PARTS = ("service", "postgresql")


def run(work: Workspace, result: Result) -> None:
    hashed = hash_password()
    database = product.set_up_product(
        work, "refresh", USERS, USERS, sample=10, hashed_password=hashed
    )
    server = product.start_product(work, database, settings=SETTINGS)
    run_loop(measure(work, server.port, (server.pid, work.postgres.pid), result))


async def measure(work: Workspace, port: int, pids: tuple[int, int], result: Result) -> None:
    clients = await open_clients(port)
    rates, costs = list[float](), {part: list[float]() for part in PARTS}
    for number in range(work.options.rounds):
        before, begun = [cpu_seconds(pid) for pid in pids], time.monotonic()
        end = begun + work.options.seconds
        done = sum(await asyncio.gather(*(refresh_until(client, end) for client in clients)))
        rates.append(done / (time.monotonic() - begun))
        for part, pid, was in zip(PARTS, pids, before, strict=True):
            costs[part].append((cpu_seconds(pid) - was) / done * 1000)
        say(f"round {number + 1} of {work.options.rounds}")
    result.figures["refresh.per_second"] = figure_of(rates)
    for part, values in costs.items():
        result.figures[f"refresh.{part}.milliseconds"] = figure_of(values)


async def refresh_until(client: Client, end: float) -> int:
    done = 0
    while time.monotonic() < end:
        await client.perform("refresh")
        done += 1
    return done
