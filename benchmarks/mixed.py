"""Scenario: 95 % token checks, 4 % refreshes and 1 % logins, against the checks alone.

Requests are sent at a fixed rate, however long answers take, and latencies are measured from the
time at which a request was due. A server that stalls therefore cannot hide it by receiving fewer
requests (coordinated omission).
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import quantiles

from benchmarks import product
from benchmarks.client import Connection, run_loop
from benchmarks.figures import figure_of
from benchmarks.messages import get, post_form, post_json
from benchmarks.passwords import PASSWORD, hash_password
from benchmarks.results import Result
from benchmarks.rounds import say
from benchmarks.workspace import Workspace

USERS = 1_000
CLIENTS = 48
# Two logins per second use a third of two cores at cost 12: busy, but not overloaded.
REQUESTS_PER_SECOND = 200
MIX = {"check": 95, "refresh": 4, "login": 1}
CHECKS_ONLY = {"check": 95}
SETTINGS = {"COUNTERFOIL_LOGIN_THROTTLE": "off"}
# A phase must hold enough logins for a percentile.
LONGER = 3


@dataclass
class Phase:
    """Latencies in milliseconds by kind of request, and unexpected answers."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unexpected: list[str] = field(default_factory=list)

    def percentile(self, kind: str, percent: int) -> float:
        values = self.latencies[kind]
        return quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")


@dataclass
class Client:
    """A user with a connection and the current tokens."""

    connection: Connection
    email: str
    access_token: str = ""
    refresh_token: str = ""

    async def perform(self, kind: str) -> None:
        if kind == "check":
            await self.connection.call(get("/users/me", self.access_token))
        elif kind == "refresh":
            await self._take_tokens(self._refresh_request())
        else:
            await self.log_in()

    async def log_in(self) -> None:
        body: dict[str, object] = {"email": self.email, "password": PASSWORD}
        await self._take_tokens(post_json("/login", body))

    def _refresh_request(self) -> bytes:
        fields = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return post_form("/token", fields)

    async def _take_tokens(self, request: bytes) -> None:
        answer = await self.connection.call(request)
        self.access_token, self.refresh_token = answer["access_token"], answer["refresh_token"]


def run(work: Workspace, result: Result) -> None:
    hashed = hash_password()
    database = product.set_up_product(
        work, "mixed", USERS, USERS, sample=10, hashed_password=hashed
    )
    server = product.start_product(work, database, settings=SETTINGS)
    seconds = work.options.seconds * LONGER
    phases = run_loop(run_phases(server.port, seconds, work.options.rounds))
    note_figures(phases, result)


async def run_phases(port: int, seconds: float, rounds: int) -> list[Phase]:
    """Alternate between checks alone and the mix. The first and last phases are checks alone."""
    clients = await open_clients(port)
    phases = [await run_phase(clients, CHECKS_ONLY, seconds)]
    for number in range(1, rounds + 1):
        phases.append(await run_phase(clients, MIX, seconds))
        phases.append(await run_phase(clients, CHECKS_ONLY, seconds))
        say(f"round {number} of {rounds}")
    for client in clients:
        client.connection.close()
    return phases


async def open_clients(port: int) -> list[Client]:
    clients = []
    for number in range(1, CLIENTS + 1):
        client = Client(await Connection.open(port), f"user{number}@example.org")
        await client.log_in()
        clients.append(client)
    return clients


async def run_phase(clients: list[Client], mix: Mapping[str, int], seconds: float) -> Phase:
    phase, free = Phase(), asyncio.Queue[Client]()
    for client in clients:
        free.put_nowait(client)
    begun, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while (due := begun + number / REQUESTS_PER_SECOND) < begun + seconds:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            kind = random.choices(list(mix), weights=list(mix.values()))[0]
            group.create_task(perform_once(free, kind, due, phase))
            number += 1
    return phase


async def perform_once(free: asyncio.Queue[Client], kind: str, due: float, phase: Phase) -> None:
    client = await free.get()
    try:
        await client.perform(kind)
        phase.latencies[kind].append((time.monotonic() - due) * 1000)
    except RuntimeError as error:
        phase.unexpected.append(f"{kind}: {error}")
    finally:
        free.put_nowait(client)


def note_figures(phases: list[Phase], result: Result) -> None:
    alone, mixed = phases[::2], phases[1::2]
    for kind in MIX:
        for percent in (50, 99):
            values = [phase.percentile(kind, percent) for phase in mixed]
            result.figures[f"mixed.{kind}.p{percent}"] = figure_of(values)
    for percent in (50, 99):
        quiet = [phase.percentile("check", percent) for phase in alone]
        result.figures[f"alone.check.p{percent}"] = figure_of(quiet)
        result.figures[f"mixed.of_alone.p{percent}"] = figure_of(
            2 * phase.percentile("check", percent) / (before + after)
            for phase, before, after in zip(mixed, quiet, quiet[1:], strict=False)
        )
    unexpected = [text for phase in phases for text in phase.unexpected]
    if unexpected:
        result.failures.append(f"{len(unexpected)} unexpected answers, the first: {unexpected[0]}")
