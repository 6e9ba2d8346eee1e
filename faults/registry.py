"""Registers the fault scenarios.

A scenario is a function that takes a `ScenarioContext`, injects one fault and returns its outcome:

    @scenario("F1", "PostgreSQL stopped at once under load")
    def database_down(context: ScenarioContext) -> Outcome:
        ...
        return Outcome(held=not wrong, figures=f"{len(answers)} answers, slowest {slowest:.1f} s")

Those marked `quick` take a second or two, and the test suite runs them with a shorter deadline. A
new module in faults/scenarios/ must be added to MODULES.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from faults.context import ScenarioContext

MODULES = (
    "outages",
    "slowness",
    "losses",
    "sqlite",
    "stops",
    "races",
    "failover",
    "standbys",
    "lookups",
    "former_primary",
    "patroni",
    "migrations",
    "logs",
    "clocks",
    "floods",
    "mails",
    "books",
    "slow_clients",
    "bad_input",
    "injections",
    "proxies",
    "applications",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the service withstood the fault, and what was measured."""

    held: bool
    figures: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """`fault` is its number in the list of faults, `description` what is done in a few words."""

    fault: str
    description: str
    run: Callable[[ScenarioContext], Outcome]
    quick: bool

    @property
    def name(self) -> str:
        return self.run.__name__


_scenarios: list[Scenario] = []


def scenario(
    fault: str, description: str, *, quick: bool = False
) -> Callable[[Callable[[ScenarioContext], Outcome]], Callable[[ScenarioContext], Outcome]]:
    """Register a function as a scenario."""

    def register(run: Callable[[ScenarioContext], Outcome]) -> Callable[[ScenarioContext], Outcome]:
        _scenarios.append(Scenario(fault, description, run, quick))
        return run

    return register


def load_scenarios() -> Sequence[Scenario]:
    """All scenarios, ordered by the numbers of their faults."""
    for module in MODULES:
        import_module(f"faults.scenarios.{module}")
    return sorted(_scenarios, key=lambda one: int(re.findall(r"\d+", one.fault)[0]))
