"""Scenario: the cost of a token check as the table grows from 10 thousand to 10 million rows.

One server runs on a database of each size at the same time, and they are measured in turn.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import text

from benchmarks import product
from benchmarks.explain import explain_lookup
from benchmarks.figures import figure_of, figures_of_series
from benchmarks.filling.bulk import connected
from benchmarks.lookup import make_subject, warm_up
from benchmarks.messages import get
from benchmarks.options import TOKENS_PER_USER
from benchmarks.peer_setup import set_up_ceiling, set_up_control
from benchmarks.product import Product
from benchmarks.results import Result
from benchmarks.rounds import Series, Subject, run_rounds, say
from benchmarks.targets import make_target
from benchmarks.workspace import Workspace

SIZES = (10_000, 1_000_000, 10_000_000)
QUICK_SIZES = (1_000, 10_000)
# Many more tokens than in the other scenarios, so that the lookups touch many pages of the index.
SAMPLE = 10_000
CONNECTIONS = (16, 64)
INSERTS = 2_000
# The rows that a login inserts, in one transaction.
INSERT = """
WITH session AS (
    INSERT INTO sessions (id, user_id, epoch, expires_at)
    VALUES (gen_random_uuid(), :user, 0, now() + interval '30 days') RETURNING id, user_id
), access_token AS (
    INSERT INTO access_tokens (session_id, user_id, token_digest, expires_at)
    SELECT id, user_id, sha256(random()::text::bytea), now() + interval '1 hour' FROM session
    RETURNING id, session_id
)
INSERT INTO refresh_tokens (access_token_id, session_id, token_digest, expires_at)
SELECT id, session_id, sha256(random()::text::bytea), now() + interval '14 days' FROM access_token
"""


def run(work: Workspace, result: Result) -> None:
    sizes = QUICK_SIZES if work.options.quick else SIZES
    databases = {size: set_up_size(work, size) for size in sizes}
    for size, database in databases.items():
        result.texts[f"lookup at {size:,} tokens"] = explain_lookup(
            database.url, database.tokens[0]
        )
    measure_requests(work, databases, result)
    for size, database in databases.items():
        rate = inserts_per_second(database.url, size // TOKENS_PER_USER)
        result.figures[f"growth.{size}.inserts_per_second"] = figure_of([rate])


def set_up_size(work: Workspace, size: int) -> Product:
    begun = time.monotonic()
    users = size // TOKENS_PER_USER
    database = product.set_up_product(work, f"growth_{size}", size, users, min(SAMPLE, size))
    say(f"{size:,} tokens filled in {time.monotonic() - begun:.0f} s")
    return database


def measure_requests(work: Workspace, databases: dict[int, Product], result: Result) -> None:
    ceiling, control = (
        make_subject(work, set_up(work)) for set_up in (set_up_ceiling, set_up_control)
    )
    subjects = [control, *(make_size(work, size, made) for size, made in databases.items())]
    warm_up([ceiling, *subjects])
    options = work.options
    if not options.quick:
        options = replace(options, connections=CONNECTIONS)
    series = run_rounds(ceiling, subjects, options)
    result.add_series(series)
    for one in series:
        result.figures |= figures_of_series(one)
    note_growth(series[-1], list(databases), result)


def make_size(work: Workspace, size: int, database: Product) -> Subject:
    server = product.start_product(work, database, name=f"counterfoil-{size}")
    requests = [get("/users/me", token) for token in database.tokens]
    return make_subject(work, make_target(work.folder, name_of(size), server, requests))


def name_of(size: int) -> str:
    return f"growth-{size}"


def note_growth(series: Series, sizes: Sequence[int], result: Result) -> None:
    """Record the requests per second at the largest size relative to the smallest, by round."""
    smallest, largest = name_of(sizes[0]), name_of(sizes[-1])
    result.figures["growth.of_smallest"] = figure_of(
        block.pairs[largest].ratio("requests_per_second")
        / block.pairs[smallest].ratio("requests_per_second")
        for block in series.kept
    )


def inserts_per_second(url: str, users: int) -> float:
    """How many logins per second can be stored sequentially, one transaction each."""
    with connected(url) as connection:
        begun = time.monotonic()
        for number in range(INSERTS):
            connection.execute(text(INSERT), {"user": number % users + 1})
        return INSERTS / (time.monotonic() - begun)
