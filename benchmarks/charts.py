"""Draws the plots of docs/performance.md: `python -m benchmarks.charts RESULTS DOCS`.

Runs in the peers' environment, which has matplotlib, and so reads the stored results as plain JSON.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]
import matplotlib.pyplot as plt  # type: ignore[import-not-found, unused-ignore]
from matplotlib.ticker import (  # type: ignore[import-not-found, unused-ignore]
    FuncFormatter,
    LogLocator,
)

Figures = dict[str, dict[str, float]]

SHOWN = {
    "ceiling": "no authentication",
    "users-me": "Counterfoil /users/me",
    "own-route": "Counterfoil, own route",
    "verify": "Counterfoil /verify",
    "introspect": "Counterfoil /introspect",
    "jwt": "stateless JWT",
    "jwt-ready": "stateless JWT, answer by hand",
    "fastapi-users": "fastapi-users",
    "knox": "django-rest-knox",
}
# With these, equal data give an identical file, so that commits show only real changes.
SETTINGS = {"svg.hashsalt": "counterfoil", "svg.fonttype": "none", "axes.grid": True}
METADATA = {"Date": None}
OF_CEILING = "requests a second, of the route with no check"


def main(results: Path, docs: Path) -> None:
    mpl.use("svg")
    mpl.rcParams.update(SETTINGS)
    newest = load_newest(results)
    if "lookup" in newest:
        draw_requests(newest["lookup"], docs / "performance-lookup-requests.svg")
        draw_latency(newest["lookup"], docs / "performance-lookup-latency.svg")
    if "growth" in newest:
        draw_growth(newest["growth"], docs / "performance-growth.svg")


def load_newest(folder: Path) -> dict[str, Figures]:
    """The figures of the newest valid result of each scenario."""
    found: dict[str, Figures] = {}
    for path in sorted(folder.glob("*.json")):
        result: dict[str, Any] = json.loads(path.read_text())
        if not (result["failures"] or result["options"]["only"] or result["options"]["quick"]):
            found[result["scenario"]] = result["figures"]
    return found


def points(figures: Figures, stem: str) -> Iterator[tuple[int, dict[str, float]]]:
    """The figures named by the stem and a number, with their numbers, in ascending order."""
    tails = (name.removeprefix(stem) for name in figures if name.startswith(stem))
    for tail in sorted(int(tail) for tail in tails):
        yield tail, figures[f"{stem}{tail}"]


def draw_requests(figures: Figures, path: Path) -> None:
    _, axes = plt.subplots(figsize=(7.5, 4.5))
    for name, label in SHOWN.items():
        draw_line(axes, list(points(figures, f"{name}.of_ceiling.requests.")), label)
    scale_by_logarithm(axes, OF_CEILING)
    finish(axes, "connections", path)


def draw_latency(figures: Figures, path: Path) -> None:
    _, axes = plt.subplots(figsize=(7.5, 4.5))
    for name, label in SHOWN.items():
        draw_line(axes, list(points(figures, f"{name}.p50.")), label)
    scale_by_logarithm(axes, "median latency, ms (this machine's)")
    finish(axes, "connections", path)


def draw_growth(figures: Figures, path: Path) -> None:
    _, axes = plt.subplots(figsize=(7.5, 4.5))
    tails = {name.rpartition(".")[2] for name in figures if name.startswith("growth-")}
    for connections in sorted(int(tail) for tail in tails):
        draw_line(axes, list(sizes(figures, connections)), f"{connections} connections")
    axes.set(xscale="log", ylim=(0, None), ylabel=OF_CEILING)
    finish(axes, "access tokens in the table", path)


def sizes(figures: Figures, connections: int) -> Iterator[tuple[int, dict[str, float]]]:
    tail = f".of_ceiling.requests.{connections}"
    found = [name for name in figures if name.startswith("growth-") and name.endswith(tail)]
    for name in sorted(found, key=lambda name: int(name.split(".")[0].removeprefix("growth-"))):
        yield int(name.split(".")[0].removeprefix("growth-")), figures[name]


def draw_line(axes: Any, line: list[tuple[int, dict[str, float]]], label: str) -> None:
    """Draw the medians, with error bars from the lowest round to the highest."""
    if not line:
        return
    medians = [figure["median"] for _, figure in line]
    below = [figure["median"] - figure["low"] for _, figure in line]
    above = [figure["high"] - figure["median"] for _, figure in line]
    across = [place for place, _ in line]
    axes.errorbar(across, medians, [below, above], marker="o", capsize=3, label=label)


def scale_by_logarithm(axes: Any, label: str) -> None:
    """Use logarithmic axes with ticks at 1, 2 and 5, labelled with plain numbers."""
    axes.set(xscale="log", yscale="log", ylabel=label)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def finish(axes: Any, across: str, path: Path) -> None:
    places = sorted({round(place) for line in axes.get_lines() for place in line.get_xdata()})
    axes.set_xticks(places, labels=[f"{place:,}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel(across)
    axes.legend(fontsize="small")
    axes.figure.tight_layout()
    axes.figure.savefig(path, metadata=METADATA)
    # matplotlib writes trailing spaces.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    plt.close(axes.figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
