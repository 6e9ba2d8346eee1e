"""PostgreSQL is down, comes back, or has no connection to give."""

import os
import signal
import threading
import time

import psycopg2

from faults import looks
from faults.calls import Caller
from faults.load import Load
from faults.registry import Seen, scenario
from faults.stage import Stage, seconds_until, sign_up


@scenario("F1, F2", "PostgreSQL stopped at once (immediate) under load, started again")
def database_down(stage: Stage) -> Seen:
    database, url = stage.cluster()
    service = stage.serve(url)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        database.stop("immediate")
        down = time.monotonic()
        time.sleep(1.5 * stage.deadline)
        live, ready = looks.health(service.url)
        up = time.monotonic()
        database.start()
        back = seconds_until(lambda: looks.works(service.url, token))
        recovered = time.monotonic()
        time.sleep(0.5)
    meanwhile = looks.begun_between(load.answers, down, up)
    afterwards = looks.begun_between(load.answers, recovered, float("inf"))
    broken = load.history.judge(service.url)
    held = (
        bool(meanwhile and afterwards)
        and all(looks.is_refusal_in_order(answer) for answer in meanwhile)
        and looks.slowest(load.answers) <= stage.deadline + 0.5
        and (live, ready) == (200, 503)
        and back <= 2
        and not broken
        and not any(answer.status >= 500 or not answer.status for answer in afterwards)
    )
    return Seen(
        held,
        f"while down {looks.count(meanwhile)}, live {live}, ready {ready};"
        f" slowest {looks.slowest(load.answers):.1f} s; first success {back:.1f} s after the start;"
        f" then {looks.count(afterwards)}; {load.history.revocations} revocations,"
        f" {len(broken)} broken",
    )


@scenario("F2", "a worker of two killed while PostgreSQL is down, which then starts again")
def worker_lost_during_outage(stage: Stage) -> Seen:
    database, url = stage.cluster()
    service = stage.serve(url, workers=2)
    token = sign_up(service).access_token
    before = service.worker_pids()
    database.stop("immediate")
    os.kill(before[0], signal.SIGKILL)
    replaced = seconds_until(lambda: len(set(service.worker_pids()) - set(before)) == 1)
    time.sleep(2)
    live, _ = looks.health(service.url)
    database.start()
    back = seconds_until(lambda: looks.works(service.url, token))
    time.sleep(1)
    workers = len(service.worker_pids())
    return Seen(
        live == 200 and back <= 2 and workers == 2,
        f"replaced after {replaced:.1f} s, live {live} meanwhile;"
        f" first success {back:.1f} s after the start, {workers} workers",
    )


@scenario("F5", "a table locked for longer than the deadline, pool of 2, 30 clients")
def pool_exhausted(stage: Stage) -> Seen:
    url = stage.database()
    service = stage.serve(url, database_pool_size=2)
    with Load(service.url, clients=30) as load:
        time.sleep(0.5)
        locker = psycopg2.connect(url)
        locker.cursor().execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        locked = time.monotonic()
        time.sleep(2.5 * stage.deadline)
        backends = looks.connections(url)
        live, ready = looks.health(service.url)
        unlocked = time.monotonic()
        locker.close()
        time.sleep(2)
        recovered = time.monotonic()
        time.sleep(0.5)
    meanwhile = looks.begun_between(load.answers, locked, unlocked - stage.deadline)
    afterwards = looks.begun_between(load.answers, recovered, float("inf"))
    idle = seconds_until(lambda: looks.busy_connections(url) == 0)
    broken = load.history.judge(service.url)
    held = (
        bool(meanwhile and afterwards)
        and all(looks.is_refusal_in_order(answer) for answer in meanwhile)
        and looks.slowest(load.answers) <= stage.deadline + 0.5
        and (live, ready) == (200, 503)
        # Of the pool, its overflow, the lookups, the locker, and as many again being given up.
        and backends <= 2 * (2 + 2 + 2) + 1
        and not any(answer.status >= 500 for answer in afterwards)
        and idle < 1
        and not broken
    )
    return Seen(
        held,
        f"while locked {looks.count(meanwhile)}, slowest {looks.slowest(load.answers):.1f} s,"
        f" {backends} connections to PostgreSQL, ready {ready}; 2 s later"
        f" {looks.count(afterwards)}; none checked out after {idle:.1f} s; {len(broken)} broken",
    )


@scenario("F6", "max_connections=5, 20 clients, all other connections taken for a while")
def connections_exhausted(stage: Stage) -> Seen:
    _, url = stage.cluster(max_connections=5, superuser_reserved_connections=0)
    service = stage.serve(url)
    with Load(service.url, clients=20) as load:
        time.sleep(2)
    refused = [answer for answer in load.answers if answer.status >= 500 or not answer.status]
    with Caller(service.url) as caller:
        after = caller.log_in("client0@example.org")
    broken = load.history.judge(service.url)
    held = (
        any(answer.status == 200 for answer in load.answers)
        and all(looks.is_refusal_in_order(answer) for answer in refused)
        and looks.slowest(load.answers) <= stage.deadline + 0.5
        and after.status == 200
        and not broken
    )
    return Seen(
        held,
        f"{looks.count(load.answers)}, slowest {looks.slowest(load.answers):.1f} s;"
        f" then a login {after.status}; {len(broken)} broken",
    )


@scenario("F7", "pg_terminate_backend of every connection, over and over")
def backends_terminated(stage: Stage) -> Seen:
    url = stage.database()
    service = stage.serve(url)
    over = threading.Event()
    killer = threading.Thread(target=_keep_terminating, args=(url, over))
    with Load(service.url, clients=10) as load:
        time.sleep(0.3)
        killer.start()
        time.sleep(stage.deadline)
        over.set()
        killer.join()
        ended = time.monotonic()
        time.sleep(2.5)
    failed = [answer for answer in load.answers if answer.status >= 500 or not answer.status]
    afterwards = looks.begun_between(load.answers, ended + 2, float("inf"))
    broken = load.history.judge(service.url)
    held = (
        all(looks.is_refusal_in_order(answer) for answer in failed)
        and bool(afterwards)
        and not any(answer.status >= 500 for answer in afterwards)
        and not broken
    )
    return Seen(
        held,
        f"{looks.count(load.answers)}, slowest {looks.slowest(load.answers):.1f} s;"
        f" from 2 s later {looks.count(afterwards)}; {len(broken)} broken",
    )


def _keep_terminating(url: str, over: threading.Event) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        while not over.wait(0.05):
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    connection.close()
