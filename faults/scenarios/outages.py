"""PostgreSQL is down, restarts, or has no free connection."""

import os
import signal
import threading
import time

import psycopg2

from faults import observe
from faults.calls import Caller
from faults.context import ScenarioContext, seconds_until, sign_up
from faults.load import Load
from faults.registry import Outcome, scenario


@scenario("F1, F2", "PostgreSQL stopped at once (immediate) under load, started again")
def database_down(context: ScenarioContext) -> Outcome:
    database, url = context.cluster()
    service = context.serve(url)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        database.stop("immediate")
        down = time.monotonic()
        time.sleep(1.5 * context.deadline)
        live, ready = observe.health(service.url)
        up = time.monotonic()
        database.start()
        back = seconds_until(lambda: observe.is_working(service.url, token))
        recovered = time.monotonic()
        time.sleep(0.5)
    meanwhile = observe.sent_between(load.answers, down, up)
    afterwards = observe.sent_between(load.answers, recovered, float("inf"))
    violations = load.history.find_violations(service.url)
    held = (
        bool(meanwhile and afterwards)
        and all(observe.is_503_with_retry_after(answer) for answer in meanwhile)
        and observe.slowest(load.answers) <= context.deadline + 0.5
        and (live, ready) == (200, 503)
        and back <= 2
        and not violations
        and not any(answer.status >= 500 or not answer.status for answer in afterwards)
    )
    return Outcome(
        held,
        f"while down {observe.statuses(meanwhile)}, live {live}, ready {ready};"
        f" slowest {observe.slowest(load.answers):.1f} s;"
        f" first success {back:.1f} s after the start; then {observe.statuses(afterwards)};"
        f" {load.history.revocations} revocations, {len(violations)} violations",
    )


@scenario("F2", "a worker of two killed while PostgreSQL is down, which then starts again")
def worker_lost_during_outage(context: ScenarioContext) -> Outcome:
    database, url = context.cluster()
    service = context.serve(url, workers=2)
    token = sign_up(service).access_token
    before = service.worker_pids()
    database.stop("immediate")
    os.kill(before[0], signal.SIGKILL)
    replaced = seconds_until(lambda: len(set(service.worker_pids()) - set(before)) == 1)
    time.sleep(2)
    live, _ = observe.health(service.url)
    database.start()
    back = seconds_until(lambda: observe.is_working(service.url, token))
    time.sleep(1)
    workers = len(service.worker_pids())
    return Outcome(
        live == 200 and back <= 2 and workers == 2,
        f"replaced after {replaced:.1f} s, live {live} meanwhile;"
        f" first success {back:.1f} s after the start, {workers} workers",
    )


@scenario("F5", "a table locked for longer than the deadline, pool of 2, 30 clients")
def pool_exhausted(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url, database_pool_size=2)
    with Load(service.url, clients=30) as load:
        time.sleep(0.5)
        locker = psycopg2.connect(url)
        locker.cursor().execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        locked = time.monotonic()
        time.sleep(2.5 * context.deadline)
        backends = observe.connections(url)
        live, ready = observe.health(service.url)
        unlocked = time.monotonic()
        locker.close()
        time.sleep(2)
        recovered = time.monotonic()
        time.sleep(0.5)
    meanwhile = observe.sent_between(load.answers, locked, unlocked - context.deadline)
    afterwards = observe.sent_between(load.answers, recovered, float("inf"))
    idle = seconds_until(lambda: observe.active_connections(url) == 0)
    violations = load.history.find_violations(service.url)
    held = (
        bool(meanwhile and afterwards)
        and all(observe.is_503_with_retry_after(answer) for answer in meanwhile)
        and observe.slowest(load.answers) <= context.deadline + 0.5
        and (live, ready) == (200, 503)
        # Those of the pool, its overflow and the lookups, as many that are being cancelled, and the
        # locker's.
        and backends <= 2 * (2 + 2 + 2) + 1
        and not any(answer.status >= 500 for answer in afterwards)
        and idle < 1
        and not violations
    )
    return Outcome(
        held,
        f"while locked {observe.statuses(meanwhile)},"
        f" slowest {observe.slowest(load.answers):.1f} s, {backends} connections to PostgreSQL,"
        f" ready {ready}; 2 s later {observe.statuses(afterwards)};"
        f" none checked out after {idle:.1f} s; {len(violations)} violations",
    )


@scenario("F6", "max_connections=5, 20 clients, all other connections taken for a while")
def connections_exhausted(context: ScenarioContext) -> Outcome:
    _, url = context.cluster(max_connections=5, superuser_reserved_connections=0)
    service = context.serve(url)
    with Load(service.url, clients=20) as load:
        time.sleep(2)
    refused = [answer for answer in load.answers if answer.status >= 500 or not answer.status]
    with Caller(service.url) as caller:
        after = caller.log_in("client0@example.org")
    violations = load.history.find_violations(service.url)
    held = (
        any(answer.status == 200 for answer in load.answers)
        and all(observe.is_503_with_retry_after(answer) for answer in refused)
        and observe.slowest(load.answers) <= context.deadline + 0.5
        and after.status == 200
        and not violations
    )
    return Outcome(
        held,
        f"{observe.statuses(load.answers)}, slowest {observe.slowest(load.answers):.1f} s;"
        f" then a login {after.status}; {len(violations)} violations",
    )


@scenario("F7", "pg_terminate_backend of every connection, over and over")
def backends_terminated(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url)
    over = threading.Event()
    killer = threading.Thread(target=_keep_terminating, args=(url, over))
    with Load(service.url, clients=10) as load:
        time.sleep(0.3)
        killer.start()
        time.sleep(context.deadline)
        over.set()
        killer.join()
        ended = time.monotonic()
        time.sleep(2.5)
    failed = [answer for answer in load.answers if answer.status >= 500 or not answer.status]
    afterwards = observe.sent_between(load.answers, ended + 2, float("inf"))
    violations = load.history.find_violations(service.url)
    held = (
        all(observe.is_503_with_retry_after(answer) for answer in failed)
        and bool(afterwards)
        and not any(answer.status >= 500 for answer in afterwards)
        and not violations
    )
    return Outcome(
        held,
        f"{observe.statuses(load.answers)}, slowest {observe.slowest(load.answers):.1f} s;"
        f" from 2 s later {observe.statuses(afterwards)}; {len(violations)} violations",
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
