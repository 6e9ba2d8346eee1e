"""Writes docs/performance.md and its plots from stored results."""

import subprocess
from pathlib import Path

from benchmarks import sections
from benchmarks.goals import measured_goals
from benchmarks.options import PEERS_PYTHON, ROOT
from benchmarks.results import Result, load_newest
from benchmarks.rounds import CONTROL, CONTROL_LIMITS, say
from benchmarks.servers import clean_environment
from benchmarks.tables import number, table, with_range

DOCS = ROOT / "docs"
PAGE = DOCS / "performance.md"
VERDICTS = {"goal": "goal reached", "must": "requirement met", "missed": "**missed**"}

HEAD = """# Performance

Measured by `scripts/bench`, which also writes this page; do not edit figures or text here.

All servers, PostgreSQL and the load generator share the cores of one machine, so absolute requests
per second say more about the machine than about the code. **Only ratios count**: each target runs
between two runs of the *ceiling* (the same route, with the same response model and without
authentication), and its figures are divided by the mean of those two runs. Each figure is the
median over all rounds, followed by the lowest and the highest round.

In every round the ceiling is also compared with itself, in a second process: the control. A round
counts only if the control is between {low} and {high}, and if every response of every target was a
2xx. Other rounds are dropped and repeated, and their number is given. Such figures cannot
distinguish two designs that differ by less than about 30 %.

Counterfoil is measured as it is shipped: `python api.py serve` with its defaults, which include the
access log and the limits on connections. Beside it run the same without an access log, the bare
`uvicorn api:app`, and `serve` on SQLite. The peers run without a log.

*An application's route* is what users of Counterfoil write: FastAPI calls it, with
`CurrentIdentity` as its only dependency, under `uvicorn`. `GET /users/me` bypasses FastAPI's work
around an endpoint. [Decision 7](decisions/0007-fast-routes.md) explains where the time of a request
is spent, and why the goals at one connection are hard to reach, and those of `/introspect`, which
reads a form and looks up two credentials.
"""


def write(folder: Path) -> int:
    """Write the page. Returns 1 if there are no results."""
    results = load_newest(folder)
    if not results:
        say(f"no results that count in {folder}")
        return 1
    low, high = CONTROL_LIMITS
    lines = [HEAD.format(low=low, high=high), *summarise_goals(results)]
    for name in sections.TITLES:
        if name in results:
            lines += sections.write(results[name])
    PAGE.write_text("\n".join(lines).rstrip() + "\n")
    draw(folder)
    say(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


def draw(folder: Path) -> None:
    """Draw the plots in the peers' environment, which has matplotlib."""
    subprocess.run(
        [PEERS_PYTHON, "-m", "benchmarks.charts", folder, DOCS],
        cwd=ROOT,
        env=clean_environment(),
        check=True,
    )


def summarise(result: Result) -> list[str]:
    """The output of one run: its tables, its control, and the goals it reached."""
    return [*sections.write(result), *control_lines(result), *goal_table(result)]


def summarise_goals(results: dict[str, Result]) -> list[str]:
    rows = [row for result in results.values() for row in goal_rows(result)]
    return ["## Goals", "", *table(GOAL_HEAD, rows)] if rows else []


GOAL_HEAD = ("", "required", "goal", "measured", "verdict")


def goal_table(result: Result) -> list[str]:
    rows = goal_rows(result)
    return table(GOAL_HEAD, rows) if rows else []


def goal_rows(result: Result) -> list[list[str]]:
    rows = []
    for goal, verdict in measured_goals(result.figures):
        sign = "" if goal.at_least else "at most "
        limits = [sign + number(goal.must), sign + number(goal.goal)]
        measured = with_range(result.figures[goal.figure])
        rows.append([goal.text, *limits, measured, VERDICTS[verdict]])
    return rows


def control_lines(result: Result) -> list[str]:
    lines = ["A smoke test: its figures mean nothing."] if result.options["quick"] else []
    for name, figure in result.figures.items():
        if name.startswith(f"{CONTROL}.every_round."):
            connections = name.rpartition(".")[2]
            lines.append(f"Control at {connections} connections, all rounds: {with_range(figure)}")
    lines += [f"Dropped: {text}" for text in result.dropped]
    lines += [f"DOES NOT COUNT: {text}" for text in result.failures]
    return [*lines, ""] if lines else []
