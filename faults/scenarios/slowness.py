"""PostgreSQL answers late, or not at all."""

import time

import psutil

from faults import looks
from faults.calls import Answer, Caller
from faults.load import Load
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, seconds_until, sign_up, stopped
from harness.server import Server


@scenario("F3", "a relay that adds 200 ms to each round trip")
def slow_by_200_ms(stage: Stage) -> Seen:
    return _slow(stage, 0.2, must_serve=True)


@scenario("F3", "a relay that adds 1000 ms to each round trip")
def slow_by_1000_ms(stage: Stage) -> Seen:
    return _slow(stage, 1.0, must_serve=False)


def _slow(stage: Stage, delay: float, *, must_serve: bool) -> Seen:
    url = stage.database()
    relay, relayed = stage.relay(url)
    service = stage.serve(relayed)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load, Caller(service.url) as caller:
        relay.delay_seconds = delay
        slow = time.monotonic()
        checks = [caller.use(token) for _ in range(5)]
        time.sleep(2 * stage.deadline)
        ended = time.monotonic()
        relay.delay_seconds = 0
        back = seconds_until(lambda: looks.works(service.url, token))
        time.sleep(0.5)
    meanwhile = looks.begun_between(load.answers, slow, ended)
    return _judge(
        stage,
        service,
        url,
        load,
        meanwhile,
        back,
        served=not must_serve or all(answer.status == 200 for answer in checks),
    )


@scenario("F4", "SIGSTOP of all of PostgreSQL's processes for over three deadlines")
def stopped_processes(stage: Stage) -> Seen:
    database, url = stage.cluster()
    service = stage.serve(url)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        with stopped(database):
            hung = time.monotonic()
            time.sleep(3.3 * stage.deadline)
            health = looks.health(service.url)
            ended = time.monotonic()
        back = seconds_until(lambda: looks.works(service.url, token))
        time.sleep(0.5)
    meanwhile = looks.begun_between(load.answers, hung, ended - stage.deadline)
    return _judge(stage, service, url, load, meanwhile, back, served=health == (200, 503))


@scenario("F4", "a relay that swallows everything for over three deadlines", quick=True)
def black_hole(stage: Stage) -> Seen:
    url = stage.database()
    relay, relayed = stage.relay(url)
    service = stage.serve(relayed)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        relay.drops_data = True
        hung = time.monotonic()
        time.sleep(3.3 * stage.deadline)
        health = looks.health(service.url)
        ended = time.monotonic()
        relay.drops_data = False
        back = seconds_until(lambda: looks.works(service.url, token))
        time.sleep(0.5)
    meanwhile = looks.begun_between(load.answers, hung, ended - stage.deadline)
    return _judge(stage, service, url, load, meanwhile, back, served=health == (200, 503))


@scenario("F4", "idle connections lost without a word, as by a firewall; then a login")
def silently_dead_connections(stage: Stage) -> Seen:
    url = stage.database()
    relay, relayed = stage.relay(url)
    service = stage.serve(relayed)
    sign_up(service)
    with Caller(service.url) as caller:
        relay.drop_existing_connections()
        answer = caller.log_in(EMAIL)
        second = caller.log_in(EMAIL)
    return Seen(
        (answer.status, second.status) == (200, 200) and answer.seconds < stage.deadline,
        f"the write {answer.status} after {answer.seconds:.1f} s,"
        f" the next {second.status} after {second.seconds:.1f} s",
    )


def _judge(
    stage: Stage,
    service: Server,
    url: str,
    load: Load,
    meanwhile: list[Answer],
    back: float,
    *,
    served: bool,
) -> Seen:
    failed = [answer for answer in load.answers if answer.status >= 500 or not answer.status]
    idle = seconds_until(lambda: looks.busy_connections(url) == 0)
    threads = psutil.Process(service.pid).num_threads()
    broken = load.history.judge(service.url)
    held = (
        served
        and bool(meanwhile)
        and all(looks.is_refusal_in_order(answer) for answer in failed)
        and looks.slowest(load.answers) <= stage.deadline + 0.5
        and back <= 2
        and idle < stage.deadline
        # The pool's and the hashing threads, and those that the routes share.
        and threads < 40
        and not broken
    )
    return Seen(
        held,
        f"meanwhile {looks.count(meanwhile)}, slowest {looks.slowest(load.answers):.1f} s;"
        f" all well {back:.1f} s after; no connection checked out after {idle:.1f} s,"
        f" {threads} threads; {len(broken)} broken",
    )
