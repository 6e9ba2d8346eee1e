"""What a scenario is, and all of them in the order of their faults.

A scenario is a function that is given a `Stage`, brings about one fault and returns what was seen:

    @scenario("F1", "PostgreSQL stopped at once under load")
    def database_down(stage: Stage) -> Seen:
        ...
        return Seen(held=not wrong, figures=f"{len(answers)} answers, slowest {slowest:.1f} s")

Those marked `quick` take a second or two and stand in the test suite as well, with shorter
deadlines. Add a module under faults/scenarios/ to `load`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from faults.stage import Stage

MODULES = (
    "outages",
    "slowness",
    "losses",
    "sqlite",
    "stops",
    "races",
    "failover",
    "clocks",
    "floods",
    "slow_clients",
    "bad_input",
    "injections",
    "proxies",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scenario found out."""

    held: bool
    figures: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """`fault` is its number in the list of faults; `done` says what was done, in a few words."""

    fault: str
    done: str
    run: Callable[[Stage], Seen]
    quick: bool

    @property
    def name(self) -> str:
        return self.run.__name__


_scenarios: list[Scenario] = []


def scenario(
    fault: str, done: str, *, quick: bool = False
) -> Callable[[Callable[[Stage], Seen]], Callable[[Stage], Seen]]:
    """Register a function as a scenario."""

    def register(run: Callable[[Stage], Seen]) -> Callable[[Stage], Seen]:
        _scenarios.append(Scenario(fault, done, run, quick))
        return run

    return register


def load() -> Sequence[Scenario]:
    """All scenarios, F1 first."""
    for module in MODULES:
        import_module(f"faults.scenarios.{module}")
    return sorted(_scenarios, key=lambda one: int(re.findall(r"\d+", one.fault)[0]))
