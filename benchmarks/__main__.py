"""The command line: `python -m benchmarks [SCENARIO ...] [options]`, or `... report`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    growth,
    login,
    lookup,
    mixed,
    peer_setup,
    product,
    pruning,
    refresh,
    report,
    revocation,
    setups,
    standbys,
    wrk,
)
from benchmarks.goals import missed
from benchmarks.options import MAXIMUM_ROWS, Options
from benchmarks.results import FOLDER, Result, new_result, save
from benchmarks.rounds import say
from benchmarks.workspace import Workspace, open_workspace

Scenario = Callable[[Workspace, Result], None]
SCENARIOS: dict[str, Scenario] = {
    "lookup": lookup.run,
    "login": login.run,
    "refresh": refresh.run,
    "mixed": mixed.run,
    "revocation": revocation.run,
    "setups": setups.run,
    "growth": growth.run,
    "pruning": pruning.run,
    "standbys": standbys.run,
}
TARGETS = [*product.LABELS, *peer_setup.PEERS, *setups.LABELS]


def main(arguments: Sequence[str]) -> int:
    asked = make_parser().parse_args(arguments)
    folder = asked.results
    if asked.scenario == ["report"]:
        return report.write(folder)
    if not wrk.is_installed():
        say("wrk is not installed")
        return 2
    chosen, options = choose(asked)
    status = max([conclude(run_scenario(name, options), folder) for name in chosen])
    if not options.quick:
        report.write(folder)
    return status


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = f"{', '.join(SCENARIOS)} (default: all); report only writes the page anew"
    parser.add_argument("scenario", nargs="*", help=names)
    parser.add_argument("--rows", type=number_of_rows, default=100_000, help="access tokens")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that must pass the control")
    parser.add_argument("--seconds", type=float, default=5, help="length of each run of wrk")
    parser.add_argument("--connections", default="1,16,64", help="a comma list")
    parser.add_argument(
        "--only", default="", help=f"a comma list of {', '.join(TARGETS)}; scenarios"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run; its figures mean nothing"
    )
    parser.add_argument("--results", type=Path, default=FOLDER, help="where results are kept")
    return parser


def number_of_rows(text: str) -> int:
    rows = int(text.replace("_", "").replace(",", ""))
    if not 1_000 <= rows <= MAXIMUM_ROWS:
        raise argparse.ArgumentTypeError(f"must lie between 1,000 and {MAXIMUM_ROWS:,}")
    return rows


def choose(asked: argparse.Namespace) -> tuple[list[str], Options]:
    """The scenarios and options of a command line. `--only` names scenarios or targets."""
    only = {name for name in asked.only.split(",") if name}
    if unknown := (only - set(TARGETS) | set(asked.scenario)) - set(SCENARIOS):
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; see --help")
    scenarios = asked.scenario or [name for name in SCENARIOS if name in only] or list(SCENARIOS)
    options = Options(
        rows=asked.rows,
        rounds=asked.rounds,
        seconds=asked.seconds,
        connections=tuple(int(number) for number in asked.connections.split(",")),
        only=frozenset(only - set(SCENARIOS)),
    )
    return scenarios, shorten(options) if asked.quick else options


def shorten(options: Options) -> Options:
    rows = min(options.rows, 10_000)
    return Options(rows, 1, 1.0, (1, 16), min(rows, 1_000), options.only, quick=True)


def run_scenario(name: str, options: Options) -> Result:
    say(f"--- {name}")
    result = new_result(name, options)
    with open_workspace(options) as work:
        SCENARIOS[name](work, result)
    return result


def conclude(result: Result, folder: Path) -> int:
    """Print the tables and store the result. Returns 1 if it is invalid or misses a `must`."""
    print("\n".join(report.summarise(result)))
    # A smoke run only tests the code, so its figures must never reach the report.
    if result.options["quick"]:
        return 1 if result.failures else 0
    save(result, folder)
    return 1 if result.failures or missed(result.figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
