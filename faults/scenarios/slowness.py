"""PostgreSQL answers slowly, or not at all."""

import time

import psutil

from faults import observe
from faults.calls import Answer, Caller
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up, suspended
from faults.load import Load
from faults.registry import Outcome, scenario
from harness.server import Server


@scenario("F3", "a relay that adds 200 ms to each round trip")
def slow_by_200_ms(context: ScenarioContext) -> Outcome:
    return _slow(context, 0.2, must_serve=True)


@scenario("F3", "a relay that adds 1000 ms to each round trip")
def slow_by_1000_ms(context: ScenarioContext) -> Outcome:
    return _slow(context, 1.0, must_serve=False)


def _slow(context: ScenarioContext, delay: float, *, must_serve: bool) -> Outcome:
    url = context.database()
    relay, relayed = context.relay(url)
    service = context.serve(relayed)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load, Caller(service.url) as caller:
        relay.delay_seconds = delay
        slow = time.monotonic()
        checks = [caller.use(token) for _ in range(5)]
        time.sleep(2 * context.deadline)
        ended = time.monotonic()
        relay.delay_seconds = 0
        back = seconds_until(lambda: observe.is_working(service.url, token))
        time.sleep(0.5)
    meanwhile = observe.sent_between(load.answers, slow, ended)
    return _judge(
        context,
        service,
        url,
        load,
        meanwhile,
        back,
        served=not must_serve or all(answer.status == 200 for answer in checks),
    )


@scenario("F4", "SIGSTOP of all of PostgreSQL's processes for over three deadlines")
def stopped_processes(context: ScenarioContext) -> Outcome:
    database, url = context.cluster()
    service = context.serve(url)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        with suspended(database):
            hung = time.monotonic()
            time.sleep(3.3 * context.deadline)
            health = observe.health(service.url)
            ended = time.monotonic()
        back = seconds_until(lambda: observe.is_working(service.url, token))
        time.sleep(0.5)
    meanwhile = observe.sent_between(load.answers, hung, ended - context.deadline)
    return _judge(context, service, url, load, meanwhile, back, served=health == (200, 503))


@scenario("F4", "a relay that drops all data for over three deadlines", quick=True)
def black_hole(context: ScenarioContext) -> Outcome:
    url = context.database()
    relay, relayed = context.relay(url)
    service = context.serve(relayed)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        relay.drops_data = True
        hung = time.monotonic()
        time.sleep(3.3 * context.deadline)
        health = observe.health(service.url)
        ended = time.monotonic()
        relay.drops_data = False
        back = seconds_until(lambda: observe.is_working(service.url, token))
        time.sleep(0.5)
    meanwhile = observe.sent_between(load.answers, hung, ended - context.deadline)
    return _judge(context, service, url, load, meanwhile, back, served=health == (200, 503))


@scenario("F4", "idle connections dropped silently, as by a firewall; then a login")
def silently_dead_connections(context: ScenarioContext) -> Outcome:
    url = context.database()
    relay, relayed = context.relay(url)
    service = context.serve(relayed)
    sign_up(service)
    with Caller(service.url) as caller:
        relay.drop_existing_connections()
        answer = caller.log_in(EMAIL)
        second = caller.log_in(EMAIL)
    return Outcome(
        (answer.status, second.status) == (200, 200) and answer.seconds < context.deadline,
        f"the write {answer.status} after {answer.seconds:.1f} s,"
        f" the next {second.status} after {second.seconds:.1f} s",
    )


def _judge(
    context: ScenarioContext,
    service: Server,
    url: str,
    load: Load,
    meanwhile: list[Answer],
    back: float,
    *,
    served: bool,
) -> Outcome:
    failed = [answer for answer in load.answers if answer.status >= 500 or not answer.status]
    idle = seconds_until(lambda: observe.active_connections(url) == 0)
    threads = psutil.Process(service.pid).num_threads()
    violations = load.history.find_violations(service.url)
    held = (
        served
        and bool(meanwhile)
        and all(observe.is_503_with_retry_after(answer) for answer in failed)
        and observe.slowest(load.answers) <= context.deadline + 0.5
        and back <= 2
        and idle < context.deadline
        # The threads of the pool, of hashing, and of synchronous routes.
        and threads < 40
        and not violations
    )
    return Outcome(
        held,
        f"meanwhile {observe.statuses(meanwhile)}, slowest {observe.slowest(load.answers):.1f} s;"
        f" recovered after {back:.1f} s; no connection checked out after {idle:.1f} s,"
        f" {threads} threads; {len(violations)} violations",
    )
