"""Scenario: the speed of token checks, compared with the same route without a check and peers."""

import json
from collections.abc import Sequence

from benchmarks import product
from benchmarks.figures import compare, figure_of, figures_of_series
from benchmarks.peer_setup import PEERS, set_up_ceiling, set_up_control, set_up_peers
from benchmarks.results import Result, different_versions
from benchmarks.rounds import Subject, run_rounds, say
from benchmarks.servers import Server
from benchmarks.targets import Target, check
from benchmarks.workspace import Workspace
from benchmarks.wrk import Run, measure

WARM_UP_SECONDS = 1.0
WARM_UP_CONNECTIONS = 16


def run(work: Workspace, result: Result) -> None:
    result.failures += different_versions(result.machine)
    ceiling = set_up_ceiling(work)
    targets = [set_up_control(work), *set_up_product(work), *set_up_peers(work)]
    result.notes += compare_answers([ceiling, *targets])
    first, *subjects = (make_subject(work, target) for target in [ceiling, *targets])
    warm_up([first, *subjects])
    series = run_rounds(first, subjects, work.options)
    result.add_series(series)
    for one in series:
        result.figures |= figures_of_series(one)
        for ours in product.ROUTES:
            result.figures |= compare(one, ours, PEERS)
    note_servers([ceiling, *targets], result)


def set_up_product(work: Workspace) -> list[Target]:
    if not any(work.options.wants(name) for name in product.LABELS):
        return []
    options = work.options
    database = product.set_up_product(
        work, "counterfoil", options.rows, options.users, options.sample
    )
    product.create_administrator(database.url)
    return product.make_targets(work, database)


def make_subject(work: Workspace, target: Target) -> Subject:
    def measure_target(connections: int, seconds: float) -> Run:
        return measure(target, connections, seconds, work.postgres.pid)

    return Subject(target.name, measure_target)


def warm_up(subjects: Sequence[Subject]) -> None:
    for subject in subjects:
        subject.measure(WARM_UP_CONNECTIONS, WARM_UP_SECONDS)


def compare_answers(targets: Sequence[Target]) -> list[str]:
    """Describe routes `/users/me` whose answers have other fields than the ceiling's."""
    notes, ceiling = [], fields_of(check(targets[0]))
    for target in targets[1:]:
        fields = fields_of(check(target))
        if target.name not in (product.VERIFY, product.INTROSPECT) and fields != ceiling:
            differing = ", ".join(sorted(fields ^ ceiling))
            notes.append(f"{target.name} answers with other fields than the ceiling: {differing}.")
    for note in notes:
        say(note)
    return notes


def fields_of(body: bytes) -> set[str]:
    return set(json.loads(body)) if body else set()


def note_servers(targets: Sequence[Target], result: Result) -> None:
    """Record the servers' memory after the run with the highest load, and their startup times."""
    servers: dict[str, Server] = {target.server.name: target.server for target in targets}
    for name, server in servers.items():
        memory = server.memory()
        result.figures[f"{name}.memory"] = figure_of([memory.rss])
        result.figures[f"{name}.memory_pss"] = figure_of([memory.pss])
        result.figures[f"{name}.seconds_to_serve"] = figure_of([server.seconds_to_serve])
