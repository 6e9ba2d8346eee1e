"""The SQLite file is locked by somebody else, its disk is full, or its writer is killed."""

import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from faults import looks
from faults.calls import Caller
from faults.load import Load
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, kill_a_worker, seconds_until, sign_up

KILLS = 10


@scenario("F13", "SQLite: BEGIN EXCLUSIVE elsewhere for over two deadlines", quick=True)
def sqlite_locked(stage: Stage) -> Seen:
    url = stage.sqlite()
    service = stage.serve(url)
    token = sign_up(service).access_token
    with Caller(service.url) as caller:
        with closing(sqlite3.connect(_path(url), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            until = time.monotonic() + 2.2 * stage.deadline
            writes = [caller.log_in(EMAIL)]
            reads = [caller.use(token)]
            while time.monotonic() < until:
                writes.append(caller.log_in(EMAIL))
                reads.append(caller.use(token))
        after = caller.log_in(EMAIL)
    check = _check(url)
    held = (
        all(looks.is_refusal_in_order(answer) for answer in writes)
        and all(answer.status == 200 for answer in reads)
        and looks.slowest(writes) <= stage.deadline + 0.5
        and (after.status, check) == (200, "ok")
    )
    return Seen(
        held,
        f"logins {looks.count(writes)}, slowest {looks.slowest(writes):.1f} s;"
        f" token checks {looks.count(reads)}; then a login {after.status}; integrity {check}",
    )


@scenario("F13", "SQLite: the disk (a tmpfs of 2 MB) is full")
def sqlite_full(stage: Stage) -> Seen:
    with _small_disk(stage.folder()) as folder:
        url = stage.sqlite(folder)
        with stage.serve(url) as service, Caller(service.url) as caller:
            token = sign_up(service).access_token
            ballast = folder / "ballast"
            _fill(ballast)
            writes = [caller.log_in(EMAIL) for _ in range(20)]
            reads = [caller.use(token) for _ in range(5)]
            ballast.unlink()
            after = caller.log_in(EMAIL)
        check = _check(url)
    refused = [answer for answer in writes if answer.status != 200]
    held = (
        bool(refused)
        and all(looks.is_refusal_in_order(answer) for answer in refused)
        and all(answer.status == 200 for answer in reads)
        and (after.status, check) == (200, "ok")
    )
    return Seen(
        held,
        f"logins {looks.count(writes)}; token checks {looks.count(reads)};"
        f" with room again a login {after.status}; integrity {check}",
    )


@scenario("F13", f"SQLite: one of two workers killed (SIGKILL) {KILLS} times under load")
def sqlite_writers_killed(stage: Stage) -> Seen:
    url = stage.sqlite()
    service = stage.serve(url, workers=2)
    with Load(service.url, clients=4) as load:
        for _ in range(KILLS):
            time.sleep(random.uniform(0, 1))
            kill_a_worker(service)
    settled = seconds_until(lambda: looks.health(service.url) == (200, 200))
    with closing(sqlite3.connect(_path(url))) as file:
        half = file.execute(looks.HALF_WRITTEN).fetchall()
    check = _check(url)
    broken = load.history.judge(service.url)
    return Seen(
        not half and not broken and settled < 5 and check == "ok",
        f"{looks.count(load.answers)}; {load.history.revocations} revocations,"
        f" {len(broken)} broken; {len(half)} rows half written; integrity {check}",
    )


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _check(url: str) -> str:
    with closing(sqlite3.connect(_path(url))) as file:
        (row,) = file.execute("PRAGMA integrity_check").fetchall()
    return str(row[0])


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Wants root, as only root may mount."""
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
