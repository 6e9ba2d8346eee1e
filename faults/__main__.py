"""Plays the scenarios, prints a row for each and keeps them in docs/reliability.md."""

import sys
import time
import traceback
from pathlib import Path
from typing import Annotated

import typer

from faults import report
from faults.registry import Scenario, Seen, load
from faults.report import Row
from faults.stage import Stage
from harness.postgresql import DatabaseServer, provide_server

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="F4, or a scenario's name. May be repeated.")
    ] = None,
    deadline: Annotated[float, typer.Option(help="The service's deadline, in seconds.")] = 3.0,
    write: Annotated[bool, typer.Option(help="Keep the rows in docs/reliability.md.")] = True,
) -> None:
    """Brings about faults and judges what the service does. Exit status 1 if one is not held."""
    chosen = [one for one in load() if not only or _is_meant(one, only)]
    if not chosen:
        raise typer.BadParameter("there is no such scenario", param_hint="--only")
    rows = []
    with provide_server() as server:
        for one in chosen:
            print(f"{one.fault} {one.name} ...", file=sys.stderr)
            rows.append(_play(one, server, deadline))
            print(report.as_text(rows[-1]), flush=True)
    if write:
        report.keep(DOCUMENT, rows)
    raise typer.Exit(not all(row.held for row in rows))


def _is_meant(one: Scenario, only: list[str]) -> bool:
    return bool({one.name, *one.fault.split(", ")} & set(only))


def _play(one: Scenario, server: DatabaseServer, deadline: float) -> Row:
    began = time.monotonic()
    try:
        with Stage(server, deadline=deadline) as stage:
            seen = one.run(stage)
    except Exception as error:
        # What cannot be judged has not held, and the others are still of interest.
        traceback.print_exc()
        seen = Seen(held=False, figures=f"the scenario failed: {type(error).__name__}")
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr)
    return Row(one.fault, one.name, one.done, seen.figures, seen.held)


if __name__ == "__main__":
    typer.run(main)
