"""The service is stopped and restarted under load."""

import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from faults import observe
from faults.calls import Answer, Caller
from faults.context import EMAIL, ScenarioContext, sign_up, suspended
from faults.load import Load
from faults.registry import Outcome, scenario
from harness.processes import free_port
from harness.proxies import Balancer
from harness.server import Server

# Long enough for a load balancer that checks twice a second.
_DRAIN_SECONDS = 2
_USED = """
SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id
 WHERE u.email = %s AND s.last_used_at > s.created_at + interval '1 second'
"""


@scenario("F10", "one of two nodes behind a load balancer restarted under load, 1 worker each")
def one_worker_behind_a_balancer(context: ScenarioContext) -> Outcome:
    return _restart_behind_a_balancer(context, workers=1)


@scenario("F10", "one of two nodes behind a load balancer restarted under load, 2 workers each")
def two_workers_behind_a_balancer(context: ScenarioContext) -> Outcome:
    return _restart_behind_a_balancer(context, workers=2)


@scenario("F10", "restarted under load by systemd's socket activation, 1 worker")
def one_worker_with_socket_activation(context: ScenarioContext) -> Outcome:
    return _restart_with_socket_activation(context, workers=1)


@scenario("F10", "restarted under load by systemd's socket activation, 2 workers")
def two_workers_with_socket_activation(context: ScenarioContext) -> Outcome:
    return _restart_with_socket_activation(context, workers=2)


@scenario("F10", "both workers replaced under load (SIGHUP), twice")
def workers_replaced(context: ScenarioContext) -> Outcome:
    """Some clients keep their connections, and others open one for each request."""
    url = context.database()
    service = context.serve(url, workers=2, last_used_seconds=1)
    token = sign_up(service).access_token
    with Load(service.url, clients=10) as load, _newcomers(service) as answers:
        took = _replace_workers(service)
        with Caller(service.url) as caller:
            caller.use(token)
        took = max(took, _replace_workers(service))
    return _judge(url, [*load.answers, *answers], took, longest=60)


@contextmanager
def _newcomers(service: Server) -> Iterator[list[Answer]]:
    """Clients that connect anew for each request, until the block ends. Yields the answers."""
    stop = threading.Event()
    answers: list[Answer] = []

    def run() -> None:
        while not stop.is_set():
            with Caller(service.url) as caller:
                answers.append(caller.use("none"))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _replace_workers(service: Server) -> float:
    """Returns how long that took, in seconds."""
    before = set(service.worker_pids())
    began = time.monotonic()
    service.send(signal.SIGHUP)
    while before & set(service.worker_pids()) or len(service.worker_pids()) != len(before):
        time.sleep(0.1)
    return time.monotonic() - began


def _restart_behind_a_balancer(context: ScenarioContext, *, workers: int) -> Outcome:
    """Clients connect to a load balancer that checks readiness twice a second."""
    url = context.database()

    def start(port: int | None = None) -> Server:
        return context.serve(
            url, workers=workers, port=port, last_used_seconds=1, drain_seconds=_DRAIN_SECONDS
        )

    leaving, staying = start(), start()
    with Balancer(context.folder(), leaving.port, staying.port) as balancer:
        token = sign_up(leaving).access_token
        with Load(balancer.app_url, clients=30, pause=0.0) as load:
            time.sleep(1.5)
            took = _use_and_stop(leaving, token)
            start(port=leaving.port)
            time.sleep(1.5)
    return _judge(url, load.answers, took, longest=_DRAIN_SECONDS + 5)


def _restart_with_socket_activation(context: ScenarioContext, *, workers: int) -> Outcome:
    """Clients connect to the service itself, and wait while it is down."""
    url = context.database()
    with socket.create_server(("127.0.0.1", free_port()), backlog=100) as listening:

        def start() -> Server:
            return context.serve(url, workers=workers, listening=listening, last_used_seconds=1)

        service = start()
        token = sign_up(service).access_token
        with Load(service.url, clients=30, pause=0.0) as load:
            time.sleep(1.5)
            took = _use_and_stop(service, token)
            start()
            time.sleep(1.5)
    return _judge(url, load.answers, took, longest=5)


def _use_and_stop(service: Server, token: str) -> float:
    """Use a token right before the stop. Returns how long that took, in seconds."""
    with Caller(service.url) as caller:
        caller.use(token)
    asked = time.monotonic()
    service.stop()
    return time.monotonic() - asked


def _judge(url: str, answers: Sequence[Answer], took: float, *, longest: float) -> Outcome:
    """No request may fail."""
    broken = [answer for answer in answers if not answer.status or _is_unexpected(answer)]
    ((used,),) = observe.run_sql(url, _USED, [EMAIL])
    return Outcome(
        not broken and took < longest and used == 1,
        f"{observe.statuses(answer for answer in answers if answer.status)};"
        f" slowest {observe.slowest(answers):.1f} s;"
        f" connections broken: {observe.statuses(broken)}; ended after {took:.1f} s;"
        f" the last use before was {'recorded' if used else 'lost'}",
    )


@scenario("F10", "SIGTERM while PostgreSQL hangs (SIGSTOP) with requests waiting")
def stopped_while_hung(context: ScenarioContext) -> Outcome:
    database, url = context.cluster()
    service = context.serve(url)
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        with suspended(database):
            time.sleep(context.deadline / 2)
            asked = time.monotonic()
            service.stop()
            took = time.monotonic() - asked
    broken = [answer for answer in load.answers if _is_broken(answer)]
    return Outcome(
        not broken and took < 3 * context.deadline + 1,
        f"{observe.statuses(answer for answer in load.answers if answer.status)};"
        f" connections broken: {observe.statuses(broken)}; ended after {took:.1f} s",
    )


def _is_broken(answer: Answer) -> bool:
    """A request failed without a proper 503. Refused connections do not count."""
    return _is_unexpected(answer) or (
        not answer.status and answer.error != "ConnectionRefusedError"
    )


def _is_unexpected(answer: Answer) -> bool:
    return answer.status >= 500 and not observe.is_503_with_retry_after(answer)
