"""Runs the tests against each mutant of the catalogue, and says which of them nobody noticed."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

from harness.postgresql import PostgreSQL
from mutants import catalogue, report, runner
from mutants.catalogue import CatalogueError, Mutant
from mutants.runner import BaselineFailed, Verdict, Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "docs" / "reliability.md"
LEAST_RATE = 0.9


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="An area, or AREA/NUMBER. May be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many run at the same time.")] = 2,
    limit: Annotated[float, typer.Option(help="Seconds after which a run counts as killed.")] = 180,
    write: Annotated[bool, typer.Option("--write", help="Write docs/reliability.md.")] = False,
) -> None:
    """Make mistakes in a copy of the repository. Exit status 1 if tests notice less than 90 %."""
    mutants = catalogue.load()
    chosen = catalogue.choose(mutants, only or [])
    if not chosen:
        raise typer.BadParameter("there is no such mutant", param_hint="--only")
    if write and len(chosen) < sum(one.area in {two.area for two in chosen} for one in mutants):
        raise typer.BadParameter("only whole areas are written", param_hint="--write")
    try:
        verdicts = dict(_judge(chosen, jobs=min(jobs, len(chosen)), limit_seconds=limit))
    except (CatalogueError, BaselineFailed) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    found = report.rows(verdicts)
    killed = sum(row.killed for row in found)
    print(f"{killed} of {len(chosen)} killed")
    if write:
        report.update_page(DOCUMENT, found)
    raise typer.Exit(report.rate(found) < LEAST_RATE)


def _judge(
    mutants: list[Mutant], *, jobs: int, limit_seconds: float
) -> Iterator[tuple[Mutant, Verdict]]:
    with ExitStack() as stack:
        idle: SimpleQueue[Workspace] = SimpleQueue()
        # From this thread: a server ends with the thread that has started it.
        for _ in range(jobs):
            server = stack.enter_context(PostgreSQL.launch())
            url = server.url("postgres")
            idle.put(
                stack.enter_context(
                    runner.copied(REPOSITORY, database_url=url, limit_seconds=limit_seconds)
                )
            )

        def judge(mutant: Mutant) -> Verdict:
            workspace = idle.get()
            try:
                return workspace.judge(mutant)
            finally:
                idle.put(workspace)

        print("without any mistake ...", file=sys.stderr)
        first = idle.get()
        first.check(mutants)
        idle.put(first)
        threads = ThreadPoolExecutor(jobs)
        # Ctrl-C must not have to wait for all that are left.
        stack.callback(threads.shutdown, cancel_futures=True)
        for mutant, verdict in zip(mutants, threads.map(judge, mutants), strict=True):
            print(report.as_text(mutant, verdict), flush=True)
            yield mutant, verdict


if __name__ == "__main__":
    typer.run(main)
