"""The SQLite file is locked by another process, its disk is full, or its writer is killed."""

import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from faults import observe
from faults.calls import Caller
from faults.context import EMAIL, ScenarioContext, kill_random_worker, seconds_until, sign_up
from faults.load import Load
from faults.registry import Outcome, scenario

KILLS = 10


@scenario("F13", "SQLite: BEGIN EXCLUSIVE elsewhere for over two deadlines", quick=True)
def sqlite_locked(context: ScenarioContext) -> Outcome:
    url = context.sqlite()
    service = context.serve(url)
    token = sign_up(service).access_token
    with Caller(service.url) as caller:
        with closing(sqlite3.connect(_path(url), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            until = time.monotonic() + 2.2 * context.deadline
            writes = [caller.log_in(EMAIL)]
            reads = [caller.use(token)]
            while time.monotonic() < until:
                writes.append(caller.log_in(EMAIL))
                reads.append(caller.use(token))
        after = caller.log_in(EMAIL)
    check = _check(url)
    held = (
        all(observe.is_503_with_retry_after(answer) for answer in writes)
        and all(answer.status == 200 for answer in reads)
        and observe.slowest(writes) <= context.deadline + 0.5
        and (after.status, check) == (200, "ok")
    )
    return Outcome(
        held,
        f"logins {observe.statuses(writes)}, slowest {observe.slowest(writes):.1f} s;"
        f" token checks {observe.statuses(reads)}; then a login {after.status}; integrity {check}",
    )


@scenario("F13", "SQLite: the disk (a tmpfs of 2 MB) is full")
def sqlite_full(context: ScenarioContext) -> Outcome:
    with _small_disk(context.folder()) as folder:
        url = context.sqlite(folder)
        with context.serve(url) as service, Caller(service.url) as caller:
            token = sign_up(service).access_token
            filler = folder / "filler"
            _fill(filler)
            writes = [caller.log_in(EMAIL) for _ in range(20)]
            reads = [caller.use(token) for _ in range(5)]
            filler.unlink()
            after = caller.log_in(EMAIL)
        check = _check(url)
    refused = [answer for answer in writes if answer.status != 200]
    held = (
        bool(refused)
        and all(observe.is_503_with_retry_after(answer) for answer in refused)
        and all(answer.status == 200 for answer in reads)
        and (after.status, check) == (200, "ok")
    )
    return Outcome(
        held,
        f"logins {observe.statuses(writes)}; token checks {observe.statuses(reads)};"
        f" with free space again a login {after.status}; integrity {check}",
    )


@scenario("F13", f"SQLite: one of two workers killed (SIGKILL) {KILLS} times under load")
def sqlite_writers_killed(context: ScenarioContext) -> Outcome:
    url = context.sqlite()
    service = context.serve(url, workers=2)
    with Load(service.url, clients=4) as load:
        for _ in range(KILLS):
            time.sleep(random.uniform(0, 1))
            kill_random_worker(service)
    settled = seconds_until(lambda: observe.health(service.url) == (200, 200))
    with closing(sqlite3.connect(_path(url))) as file:
        inconsistent = file.execute(observe.INCONSISTENT_ROWS).fetchall()
    check = _check(url)
    violations = load.history.find_violations(service.url)
    return Outcome(
        not inconsistent and not violations and settled < 5 and check == "ok",
        f"{observe.statuses(load.answers)}; {load.history.revocations} revocations,"
        f" {len(violations)} violations; {len(inconsistent)} inconsistent rows; integrity {check}",
    )


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _check(url: str) -> str:
    with closing(sqlite3.connect(_path(url))) as file:
        (row,) = file.execute("PRAGMA integrity_check").fetchall()
    return str(row[0])


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mounts a tmpfs of 2 MB, which needs root."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
