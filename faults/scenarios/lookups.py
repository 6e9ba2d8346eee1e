"""Standbys that answer token lookups: none accepts a token that was revoked before the request."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from statistics import quantiles

import httpx2
import psutil
import psycopg2
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import make_url

from counterfoil import tokens
from faults import observe
from faults.calls import Answer, Caller
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up, suspended
from faults.issued import issue
from faults.load import Load
from faults.registry import Outcome, scenario
from harness.postgresql import PostgreSQL
from harness.relay import Relay
from harness.server import REPOSITORY, Server

REVOCATIONS = int(os.environ.get("FAULTS_REVOCATIONS", "10000"))
BY_COMMAND = 100
AFTER_PROMOTION = 300
API = (sys.executable, str(REPOSITORY / "api.py"))
_CONNECTIONS = 64
_FAULT_SECONDS = 3.0
_SHARE_OF_STANDBYS = 0.8
_LIVE = "SELECT 1 FROM access_tokens"
_REVOKE = """
UPDATE sessions SET revoked_at = now()
WHERE id = (SELECT session_id FROM access_tokens WHERE token_digest = %s)
"""


@scenario("F34", f"{REVOCATIONS + BY_COMMAND} revocations in four ways, 2 standbys, 64 connections")
def revoked_beside_standbys(context: ScenarioContext) -> Outcome:
    primary, url = context.cluster(max_connections=300)
    standbys = [_standby(context, primary) for _ in range(2)]
    service = _serve(context, url, [one.port for one in standbys], workers=2)
    sign_up(service)
    sign_up(service, "bob@example.org")
    issued = issue(url, EMAIL, REVOCATIONS)
    of_bob = issue(url, "bob@example.org", BY_COMMAND)
    _wait_for_standbys(service, 2)
    with _writer(url):
        before, after = _revoke_all(service, url, issued)
        with Caller(service.url) as caller:
            before += [caller.use(token) for token in of_bob]
            subprocess.run(
                [*API, "sessions", "revoke", "--user", "bob@example.org"],
                env={**os.environ, "DATABASE_URL": url},
                check=True,
                stdout=subprocess.DEVNULL,
            )
            after += [caller.use(token) for token in of_bob]
    share = _share_of_standbys(service)
    return Outcome(
        {one.status for one in before} == {200}
        and {one.status for one in after} == {401}
        and share >= _SHARE_OF_STANDBYS,
        f"before {observe.statuses(before)}, after {observe.statuses(after)};"
        f" {share:.0%} of the batches answered by standbys",
    )


@contextmanager
def _walreceiver_stopped(standby: PostgreSQL, _relay: Relay, _url: str) -> Iterator[None]:
    receivers = [
        one
        for one in psutil.Process(standby.pid).children()
        if "walreceiver" in " ".join(one.cmdline())
    ]
    for one in receivers:
        one.send_signal(signal.SIGSTOP)
    yield
    for one in receivers:
        one.send_signal(signal.SIGCONT)


@contextmanager
def _replay_paused(standby: PostgreSQL, _relay: Relay, _url: str) -> Iterator[None]:
    observe.run_sql(standby.url("counterfoil"), "SELECT pg_wal_replay_pause()")
    yield
    # What is replayed then may cancel the very statement that has resumed it.
    with suppress(psycopg2.errors.SerializationFailure):
        observe.run_sql(standby.url("counterfoil"), "SELECT pg_wal_replay_resume()")


@contextmanager
def _suspended(standby: PostgreSQL, _relay: Relay, _url: str) -> Iterator[None]:
    with suspended(standby):
        yield


@contextmanager
def _crashed(standby: PostgreSQL, _relay: Relay, _url: str) -> Iterator[None]:
    standby.stop("immediate")
    yield
    standby.start()


@contextmanager
def _conflicts(_standby: PostgreSQL, _relay: Relay, url: str) -> Iterator[None]:
    """Each VACUUM removes rows that a query on the standby might see, which is cancelled then."""
    stop = threading.Event()

    def vacuum() -> None:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not stop.is_set():
                cursor.execute("UPDATE sessions SET user_agent = 'x'")
                cursor.execute("VACUUM sessions")

    with _running(vacuum, stop):
        yield


@contextmanager
def _swallowed(_standby: PostgreSQL, relay: Relay, _url: str) -> Iterator[None]:
    relay.drop_existing_connections()
    relay.drops_data = True
    yield
    relay.drops_data = False


Fault = Callable[[PostgreSQL, Relay, str], AbstractContextManager[None]]


def _withstand(context: ScenarioContext, fault: Fault) -> Outcome:
    """One of two standbys has the fault for a while, under load."""
    primary, url = context.cluster()
    faulty = context.standby(primary, max_standby_streaming_delay="0")
    sound = _standby(context, primary)
    relay, _ = context.relay(faulty.url("counterfoil"))
    service = _serve(context, url, [relay.port, sound.port])
    _wait_for_standbys(service, 2)
    with Load(service.url) as load:
        time.sleep(_FAULT_SECONDS)
        began = time.monotonic()
        with fault(faulty, relay, url):
            time.sleep(_FAULT_SECONDS)
            ended = time.monotonic()
        answered = _answered(service, relay.port)
        back = seconds_until(lambda: _answered(service, relay.port) > answered)
    calm = observe.sent_between(load.answers, began - _FAULT_SECONDS, began)
    meanwhile = observe.sent_between(load.answers, began, ended)
    violations = load.history.find_violations(service.url)
    failed = [one for one in load.answers if one.status == 0 or one.status >= 500]
    return Outcome(
        not failed and not violations and back <= 10 and _p99(meanwhile) <= 2 * _p99(calm),
        f"meanwhile {observe.statuses(meanwhile)}; 99th percentile of token checks"
        f" {1000 * _p99(meanwhile):.0f} ms, before {1000 * _p99(calm):.0f} ms;"
        f" used again {back:.1f} s after; {load.history.revocations} revocations,"
        f" {len(violations)} violations",
    )


def _p99(answers: Sequence[Answer]) -> float:
    checks = [one.seconds for one in answers if one.call == "GET /users/me"]
    return quantiles(checks, n=100)[-1]


_FAULTS: dict[str, Fault] = {
    "walreceiver_stopped": _walreceiver_stopped,
    "replay_paused": _replay_paused,
    "standby_suspended": _suspended,
    "standby_crashed": _crashed,
    "recovery_conflicts": _conflicts,
    "standby_unreachable": _swallowed,
}


def _register(name: str, fault: Fault) -> None:
    def run(context: ScenarioContext) -> Outcome:
        return _withstand(context, fault)

    run.__name__ = name
    description = (
        f"one of two standbys, {_FAULT_SECONDS:.0f} s under load: {name.replace('_', ' ')}"
    )
    scenario("F34", description)(run)


for _name, _fault in _FAULTS.items():
    _register(_name, _fault)


@scenario("F34", f"a standby promoted, another not told of it, {AFTER_PROMOTION} revocations")
def standby_of_former_primary(context: ScenarioContext) -> Outcome:
    primary, url = context.cluster()
    successor, other = _standby(context, primary), _standby(context, primary)
    relay, relayed = context.relay(url)
    service = _serve(context, relayed, [other.port])
    sign_up(service)
    issued = issue(url, EMAIL, AFTER_PROMOTION)
    _wait_for_standbys(service, 1)
    seconds_until(lambda: len(observe.run_sql(successor.url("counterfoil"), _LIVE)) > len(issued))
    successor.promote()
    # The former primary's log is longer from now on, and so is what its standby has replayed.
    observe.run_sql(url, "SELECT pg_logical_emit_message(true, '', repeat('x', 50000000))")
    relay.target_port = successor.port
    relay.reset_connections()
    back = seconds_until(lambda: observe.is_working(service.url, issued[-1]))
    before, after = _revoke_all(service, successor.url("counterfoil"), issued)
    return Outcome(
        {one.status for one in before} == {200}
        and {one.status for one in after} == {401}
        and _usable_standbys(service) == 0
        and back <= 2,
        f"used again {back:.1f} s after; before {observe.statuses(before)},"
        f" after {observe.statuses(after)}; {_usable_standbys(service):.0f} standbys used",
    )


@scenario("F34", "the primary crashed, one of two standbys promoted, the other follows it")
def failover_beside_standbys(context: ScenarioContext) -> Outcome:
    """The address of the primary leads to the new one, as behind HAProxy."""
    primary, url = context.cluster()
    successor, other = _standby(context, primary), _standby(context, primary)
    primary.require_standby()
    relay, relayed = context.relay(url)
    service = _serve(context, relayed, [successor.port, other.port])
    sign_up(service)
    issued = issue(url, EMAIL, AFTER_PROMOTION)
    _wait_for_standbys(service, 2)
    first, rest = issued[: AFTER_PROMOTION // 2], issued[AFTER_PROMOTION // 2 :]
    _, acknowledged = _revoke_all(service, url, first)
    primary.stop("immediate")
    successor.promote()
    other.follow(successor)
    relay.target_port = successor.port
    back = seconds_until(lambda: observe.is_working(service.url, rest[-1]))
    with Caller(service.url) as caller:
        lost = [token for token in first if caller.use(token).status != 401]
    seconds_until(lambda: _usable_standbys(service) == 1)
    used = _usable_standbys(service)
    before, after = _revoke_all(service, successor.url("counterfoil"), rest)
    return Outcome(
        {one.status for one in [*acknowledged, *after]} == {401}
        and {one.status for one in before} == {200}
        and not lost
        and used == 1
        and back <= 2,
        f"{len(first)} acknowledged revocations, {len(lost)} lost; recovered after {back:.1f} s;"
        f" {used:.0f} standby used, then before {observe.statuses(before)},"
        f" after {observe.statuses(after)}",
    )


def _standby(context: ScenarioContext, primary: PostgreSQL) -> PostgreSQL:
    """Set up as docs/how-to/scale.md says: without feedback, lookups hold up its replay."""
    return context.standby(primary, hot_standby_feedback="on")


def _serve(context: ScenarioContext, url: str, ports: Sequence[int], *, workers: int = 1) -> Server:
    direct = make_url(url)
    urls = [direct.set(port=port).render_as_string(hide_password=False) for port in ports]
    return context.serve(
        url,
        lookup_database_urls=",".join(urls),
        metrics="on",
        track_last_used="off",
        login_throttle="off",
        workers=workers,
    )


def _revoke_all(
    service: Server, url: str, issued: Sequence[str]
) -> tuple[list[Answer], list[Answer]]:
    """Revoke each token, and use it right before and right after. Three ways take turns."""
    before: list[Answer] = []
    after: list[Answer] = []
    local, opened = threading.local(), ExitStack()

    def revoke(number: int, token: str) -> None:
        if not hasattr(local, "caller"):
            local.caller = opened.enter_context(Caller(service.url))
            local.database = opened.enter_context(closing(psycopg2.connect(url)))
            local.database.autocommit = True
        before.append(local.caller.use(token))
        if number % 3 == 0:
            # Repeated until it is acknowledged. What a 503 has left open may have been done.
            while local.caller.log_out(token).status not in {204, 401}:
                time.sleep(0.05)
        else:
            commit = "off" if number % 3 == 1 else "on"
            statement = f"SET synchronous_commit = {commit}; {_REVOKE}"
            local.database.cursor().execute(statement, (tokens.digest(token),))
        after.append(local.caller.use(token))

    with opened, ThreadPoolExecutor(_CONNECTIONS) as clients:
        list(clients.map(revoke, range(len(issued)), issued))
    return before, after


@contextmanager
def _writer(url: str) -> Iterator[None]:
    """Writes to the log all the time, a hundred times a second."""
    stop = threading.Event()

    def write() -> None:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not stop.wait(0.01):
                cursor.execute("SELECT pg_logical_emit_message(true, '', repeat('x', 8000))")

    with _running(write, stop):
        yield


@contextmanager
def _running(work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _wait_for_standbys(service: Server, count: int) -> None:
    assert seconds_until(lambda: _usable_standbys(service) == count) < float("inf")


def _usable_standbys(service: Server) -> float:
    return sum(
        value for name, _, value in _metrics(service) if name == "counterfoil_usable_standbys"
    )


def _share_of_standbys(service: Server) -> float:
    """What part of all batches standbys have answered."""
    return 1 - _answered(service, "primary") / _answered(service)


def _answered(service: Server, server: str | int | None = None) -> float:
    """How many batches a server has answered: `primary`, a standby by its port, or all of them."""
    return sum(
        value
        for name, labels, value in _metrics(service)
        if name == "counterfoil_lookup_batches_total"
        and labels["outcome"] == "answered"
        and (server is None or labels["server"].rpartition(":")[2] == str(server))
    )


def _metrics(service: Server) -> Iterator[tuple[str, dict[str, str], float]]:
    text = httpx2.get(f"{service.url}/metrics", timeout=30).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
