"""Scenario: what pruning costs at 10 million sessions, and what it costs the requests beside it.

One in a hundred sessions has ended, half by expiry and half by revocation, and some users have
revoked all of theirs by raising their epoch. Measured are the deletion of what has ended, a scan of
the table for what no column marks as ended, the latency of token checks beside both, and how many
updates of `last_used_at` change no index (HOT).
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

from sqlalchemy import text

from authentication.pruning import prune
from authentication.pruning.prune import Retention
from authentication.pruning.worker import PruningWorker
from authentication.settings import AuthenticationSettings
from benchmarks import product
from benchmarks.figures import figure_of
from benchmarks.filling.bulk import connected
from benchmarks.messages import get
from benchmarks.options import TOKENS_PER_USER
from benchmarks.results import Result
from benchmarks.rounds import say
from benchmarks.targets import Target, make_target
from benchmarks.workspace import Workspace
from benchmarks.wrk import measure
from database.engine.session import Database
from database.settings import DatabaseSettings

ROWS, QUICK_ROWS = 10_000_000, 10_000
SAMPLE = 10_000
CONNECTIONS = 16
ENDED_SHARE = 0.01
RAISED_USERS_SHARE = 0.001
KEEP_DAYS = 7
# Uses are recorded soon, and not after a minute, so that the run need not wait for that.
SETTINGS = {"COUNTERFOIL_LAST_USED_SECONDS": "5"}
RECORDED_AFTER_SECONDS = 15
RETENTION = Retention(KEEP_DAYS)

END = """
WITH ended AS (
  SELECT id, row_number() OVER () AS number FROM sessions TABLESAMPLE SYSTEM (5) LIMIT :count
)
UPDATE sessions SET
  last_used_at = now() - interval '90 days',
  created_at = now() - interval '120 days',
  expires_at = now() - interval '90 days' * (number % 2) + interval '1 day',
  revoked_at = CASE number % 2 WHEN 0 THEN now() - interval '90 days' END
FROM ended WHERE sessions.id = ended.id
"""
EXPIRE_TOKENS = """
UPDATE access_tokens SET expires_at = now() - interval '90 days'
FROM sessions WHERE sessions.id = session_id AND sessions.created_at < now() - interval '100 days'
"""
RAISE_EPOCHS = """
UPDATE users SET session_epoch = session_epoch + 1 WHERE id <= :users
"""
UNUSED = """
UPDATE sessions SET last_used_at = now() - interval '90 days' WHERE user_id <= :users
"""
VACUUM = "VACUUM ANALYZE sessions, access_tokens, users"
UPDATES = """
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'
"""


def run(work: Workspace, result: Result) -> None:
    rows = QUICK_ROWS if work.options.quick else ROWS
    begun = time.monotonic()
    users = rows // TOKENS_PER_USER
    made = product.set_up_product(work, "pruning", rows, users, min(SAMPLE, rows))
    say(f"{rows:,} sessions filled in {time.monotonic() - begun:.0f} s")
    server = product.start_product(work, made, settings=SETTINGS)
    requests = [get("/users/me", token) for token in made.tokens]
    target = make_target(work.folder, "pruning", server, requests)
    measure_hot_updates(work, made.url, target, result)
    end_sessions(made.url, rows, users)
    measure_pruning(made.url, result)
    end_sessions(made.url, rows, users)
    measure_beside(work, made.url, target, result)


def measure_hot_updates(work: Workspace, url: str, target: Target, result: Result) -> None:
    """The share of updates of `last_used_at` that changed no index."""
    before = updates(url)
    measure(target, CONNECTIONS, work.options.seconds, work.postgres.pid)
    time.sleep(RECORDED_AFTER_SECONDS)
    every, hot = (now - then for now, then in zip(updates(url), before, strict=True))
    result.figures["pruning.updates"] = figure_of([every])
    result.figures["pruning.hot_share"] = figure_of([hot / every if every else float("nan")])


def updates(url: str) -> tuple[int, int]:
    with connected(url) as connection:
        every, hot = connection.execute(text(UPDATES)).one()
        return every, hot


def end_sessions(url: str, rows: int, users: int) -> None:
    with connected(url) as connection:
        raised = {"users": max(1, int(users * RAISED_USERS_SHARE))}
        connection.execute(text(END), {"count": int(rows * ENDED_SHARE)})
        connection.execute(text(EXPIRE_TOKENS))
        connection.execute(text(RAISE_EPOCHS), raised)
        connection.execute(text(UNUSED), raised)
        connection.execute(text(VACUUM))


def measure_pruning(url: str, result: Result) -> None:
    """The seconds of both parts, by the command, which makes no pauses."""
    database = Database(DatabaseSettings(database_url=url))
    parts = {"ended": prune.prune_ended, "scan": prune.prune_unusable_sessions}
    for name, part in parts.items():
        deleted, seconds = timed(part(database.transaction, RETENTION))
        result.figures[f"pruning.{name}.sessions"] = figure_of([deleted])
        result.figures[f"pruning.{name}.seconds"] = figure_of([seconds])
    database.close()


def measure_beside(work: Workspace, url: str, target: Target, result: Result) -> None:
    """The latency of token checks while the service's background thread prunes."""
    seconds, pid = work.options.seconds, work.postgres.pid
    database = Database(DatabaseSettings(database_url=url))
    worker = PruningWorker(AuthenticationSettings(prune_keep_days=KEEP_DAYS), database)
    calm = [measure(target, CONNECTIONS, seconds, pid)]
    with ThreadPoolExecutor(1) as thread:
        pruning = thread.submit(worker.run_round)
        beside = []
        while not pruning.done():
            beside.append(measure(target, CONNECTIONS, seconds, pid))
    calm.append(measure(target, CONNECTIONS, seconds, pid))
    database.close()
    for percentile in ("p50", "p99"):
        ordinary = mean(getattr(run, percentile) for run in calm)
        result.figures[f"pruning.of_calm.{percentile}"] = figure_of(
            [getattr(run, percentile) / ordinary for run in beside]
        )


def timed(batches: Iterable[dict[str, int]]) -> tuple[int, float]:
    """How many sessions were deleted, and in how many seconds."""
    begun = time.monotonic()
    deleted = sum(rows.get("sessions", 0) for rows in batches)
    return deleted, time.monotonic() - begun
