"""Aggregates the rounds of a series into figures: a median with its range."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.rounds import CONTROL, Series

RELATIVE = {"requests": "requests_per_second", "cpu": "server_cpu", "p99": "p99"}
ABSOLUTE = ("requests_per_second", "p50", "p99", "server_cpu", "postgres_cpu")


@dataclass(frozen=True)
class Figure:
    """The median, the lowest and the highest value of `rounds` rounds."""

    median: float
    low: float
    high: float
    rounds: int


Figures = dict[str, Figure]


def figure_of(values: Iterable[float]) -> Figure:
    known = [value for value in values if value == value]
    if not known:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    return Figure(median(known), min(known), max(known), len(known))


def figures_of_series(series: Series) -> Figures:
    """All figures of a series, named `TARGET.FIGURE.CONNECTIONS`.

    Those relative to the ceiling are named `TARGET.of_ceiling.FIGURE.CONNECTIONS`.
    """
    figures: Figures = {}
    if not series.kept:
        return figures
    for target in series.kept[0].pairs:
        pairs = [block.pairs[target] for block in series.kept]
        for name, figure in RELATIVE.items():
            key = f"{target}.of_ceiling.{name}.{series.connections}"
            figures[key] = figure_of(pair.ratio(figure) for pair in pairs)
        for figure in ABSOLUTE:
            values = (getattr(pair.run, figure) for pair in pairs)
            figures[f"{target}.{figure}.{series.connections}"] = figure_of(values)
    return figures | ceiling_figures(series)


def ceiling_figures(series: Series) -> Figures:
    """The ceiling's own figures, from the runs after each target."""
    return {
        f"ceiling.{figure}.{series.connections}": figure_of(
            getattr(pair.after, figure) for block in series.kept for pair in block.pairs.values()
        )
        for figure in ABSOLUTE
    }


def compare(series: Series, ours: str, theirs: Sequence[str]) -> Figures:
    """The requests per second of `ours` relative to those of each peer, by their ceilings."""
    figures: Figures = {}
    for peer in theirs:
        values = []
        for block in series.kept:
            if ours in block.pairs and peer in block.pairs:
                mine, other = (
                    block.pairs[name].ratio("requests_per_second") for name in (ours, peer)
                )
                values.append(mine / other)
        if values:
            figures[f"{ours}.against.{peer}.{series.connections}"] = figure_of(values)
    return figures


def controls(series: Sequence[Series]) -> Figures:
    """The control of each series, over all rounds including the dropped ones."""
    return {
        f"{CONTROL}.every_round.{one.connections}": figure_of(
            block.pairs[CONTROL].ratio("requests_per_second") for block in one.kept + one.dropped
        )
        for one in series
    }
