"""Measures subjects in turn, each between two runs of the ceiling, and drops unreliable rounds."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.options import Options
from benchmarks.wrk import Run

CONTROL = "control"
CONTROL_LIMITS = (0.9, 1.1)
# If two of three rounds fail the control, the machine is too noisy to measure anything.
ATTEMPTS_PER_ROUND = 3


@dataclass(frozen=True)
class Subject:
    """A named measurement. `measure` takes the number of connections and of seconds."""

    name: str
    measure: Callable[[int, float], Run]


@dataclass(frozen=True)
class Pair:
    """A run of a target and the runs of the ceiling directly before and after it."""

    run: Run
    before: Run
    after: Run

    def ratio(self, figure: str) -> float:
        """The target's figure divided by the mean of the two ceiling runs."""
        around = float(getattr(self.before, figure) + getattr(self.after, figure)) / 2
        return float(getattr(self.run, figure)) / around if around else float("nan")


@dataclass(frozen=True)
class Block:
    """One round at one number of connections: every target once, including the control."""

    connections: int
    pairs: dict[str, Pair]

    @property
    def reason_to_drop(self) -> str | None:
        faults = {run.target: run.fault for run in self.runs() if run.fault}
        if faults:
            return "; ".join(f"{target}: {fault}" for target, fault in faults.items())
        control = self.pairs[CONTROL].ratio("requests_per_second")
        low, high = CONTROL_LIMITS
        return None if low <= control <= high else f"control {control:.2f}"

    def runs(self) -> Iterator[Run]:
        for pair in self.pairs.values():
            yield from (pair.before, pair.run, pair.after)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"dropped": self.reason_to_drop}


@dataclass
class Series:
    """All rounds at one number of connections."""

    connections: int
    wanted: int
    kept: list[Block] = field(default_factory=list)
    dropped: list[Block] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.kept) >= self.wanted

    @property
    def is_over(self) -> bool:
        tried = len(self.kept) + len(self.dropped)
        return self.is_complete or tried >= self.wanted * ATTEMPTS_PER_ROUND

    def add(self, block: Block) -> None:
        reason = block.reason_to_drop
        (self.dropped if reason else self.kept).append(block)
        control = block.pairs[CONTROL].ratio("requests_per_second")
        fate = f"dropped ({reason})" if reason else f"kept (control {control:.2f})"
        say(f"{self.connections} connections: {fate}, {len(self.kept)} of {self.wanted}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_rounds(ceiling: Subject, subjects: Sequence[Subject], options: Options) -> list[Series]:
    """`subjects` must include the control, which is the ceiling in a second process."""
    series = [Series(connections, options.rounds) for connections in options.connections]
    turn = 0
    while not all(one.is_over for one in series):
        # Each round begins with a different subject, so that none is always measured first.
        first = turn % len(subjects)
        order = [*subjects[first:], *subjects[:first]]
        for one in series:
            if not one.is_over:
                one.add(run_block(ceiling, order, one.connections, options.seconds))
        turn += 1
    return series


def run_block(
    ceiling: Subject, subjects: Sequence[Subject], connections: int, seconds: float
) -> Block:
    pairs = {}
    before = ceiling.measure(connections, seconds)
    for subject in subjects:
        run = subject.measure(connections, seconds)
        after = ceiling.measure(connections, seconds)
        pairs[subject.name] = Pair(run, before, after)
        before = after
    return Block(connections, pairs)
