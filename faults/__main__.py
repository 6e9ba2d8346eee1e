"""Runs fault scenarios, prints their results and writes them to docs/reliability.md."""

import sys
import time
import traceback
from pathlib import Path
from typing import Annotated

import typer

from faults import report
from faults.context import ScenarioContext
from faults.registry import Outcome, Scenario, load_scenarios
from faults.report import Row
from harness.postgresql import DatabaseServer, provide_server

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="F4, or the name of a scenario. May be repeated.")
    ] = None,
    deadline: Annotated[float, typer.Option(help="The service's deadline, in seconds.")] = 3.0,
    write: Annotated[bool, typer.Option(help="Write the rows to docs/reliability.md.")] = True,
) -> None:
    """Inject faults and judge the service. Exit status 1 if it does not withstand one of them."""
    chosen = [one for one in load_scenarios() if not only or _is_chosen(one, only)]
    if not chosen:
        raise typer.BadParameter("there is no such scenario", param_hint="--only")
    rows = []
    with provide_server() as server:
        for one in chosen:
            print(f"{one.fault} {one.name} ...", file=sys.stderr)
            rows.append(_run(one, server, deadline))
            print(report.as_text(rows[-1]), flush=True)
    if write:
        report.update_page(DOCUMENT, rows)
    raise typer.Exit(not all(row.held for row in rows))


def _is_chosen(one: Scenario, only: list[str]) -> bool:
    return bool({one.name, *one.fault.split(", ")} & set(only))


def _run(one: Scenario, server: DatabaseServer, deadline: float) -> Row:
    began = time.monotonic()
    try:
        with ScenarioContext(server, deadline=deadline) as context:
            outcome = one.run(context)
    except Exception as error:
        # A scenario that fails counts as not withstood, and the others run all the same.
        traceback.print_exc()
        outcome = Outcome(held=False, figures=f"the scenario failed: {type(error).__name__}")
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr)
    return Row(one.fault, one.name, one.description, outcome.figures, outcome.held)


if __name__ == "__main__":
    typer.run(main)
