"""Patroni with etcd and HAProxy: the leader is killed, and another one is chosen by hand."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2

from database import migrations
from faults import observe
from faults.calls import Caller
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up
from faults.issued import issue
from faults.registry import Outcome, scenario
from harness.patroni import NODES, NotInstalled, PatroniCluster
from harness.pgbouncer import run_pgbouncers
from harness.server import Server

REVOCATIONS = 100
_BACK_SECONDS = 2.0
_PATIENCE_SECONDS = 90.0
_DATABASE = "counterfoil"
_WRITE = "SELECT pg_logical_emit_message(true, '', '')"

Fault = Callable[[PatroniCluster, str], None]


@scenario("F37", f"Patroni's leader killed during {REVOCATIONS} revocations, 3 servers, HAProxy")
def leader_killed(context: ScenarioContext) -> Outcome:
    return _fail_over(context, PatroniCluster.kill)


@scenario("F37", f"a switchover of Patroni during {REVOCATIONS} revocations, 3 servers, HAProxy")
def switchover(context: ScenarioContext) -> Outcome:
    return _fail_over(context, lambda cluster, _: cluster.switch_over())


@scenario("F37", f"Patroni's leader killed during {REVOCATIONS} revocations, HAProxy, PgBouncer")
def leader_killed_behind_pgbouncer(context: ScenarioContext) -> Outcome:
    return _fail_over(context, PatroniCluster.kill, by_pgbouncer=True)


@scenario("F37", f"a switchover of Patroni during {REVOCATIONS} revocations, HAProxy, PgBouncer")
def switchover_behind_pgbouncer(context: ScenarioContext) -> Outcome:
    return _fail_over(context, lambda cluster, _: cluster.switch_over(), by_pgbouncer=True)


def _fail_over(context: ScenarioContext, fault: Fault, *, by_pgbouncer: bool = False) -> Outcome:
    try:
        with PatroniCluster() as cluster:
            url = cluster.server.create_database(_DATABASE)
            migrations.upgrade(url)
            with _served(context, cluster, url, by_pgbouncer=by_pgbouncer) as service:
                return _revoke_meanwhile(service, cluster, url, fault)
    except NotInstalled as missing:
        return Outcome(held=False, figures=f"not run: {missing}")


@contextmanager
def _served(
    context: ScenarioContext, cluster: PatroniCluster, url: str, *, by_pgbouncer: bool
) -> Iterator[Server]:
    """A service that reaches the primary and each standby by HAProxy, or by PgBouncer before it."""
    urls = [url, *cluster.standby_urls(_DATABASE)]
    settings: dict[str, Any] = {"track_last_used": "off", "login_throttle": "off"}
    if not by_pgbouncer:
        yield context.serve(url, lookup_database_urls=",".join(urls[1:]), **settings)
        return
    with run_pgbouncers(urls) as [address, *standbys]:
        yield context.serve(
            address,
            lookup_database_urls=",".join(standbys),
            prepared_statements="off",
            **settings,
        )


def _revoke_meanwhile(service: Server, cluster: PatroniCluster, url: str, fault: Fault) -> Outcome:
    sign_up(service)
    issued = issue(url, EMAIL, REVOCATIONS + 1)
    former = cluster.find_leader()
    assert former is not None
    acknowledged = threading.Semaphore(0)
    revoking = threading.Thread(target=_revoke, args=(service, issued[1:], acknowledged))
    revoking.start()
    for _ in range(REVOCATIONS // 2):
        acknowledged.acquire()
    # A switchover is answered only when it is over.
    failing = threading.Thread(target=fault, args=(cluster, former))
    failing.start()
    took = seconds_until(lambda: _takes_writes(cluster, former), timeout=_PATIENCE_SECONDS)
    back = seconds_until(
        lambda: observe.is_working(service.url, issued[0]), timeout=_PATIENCE_SECONDS
    )
    failing.join()
    revoking.join()
    with Caller(service.url) as caller:
        lost = [one for one in issued[1:] if caller.use(one).status != 401]
    return Outcome(
        not lost and back <= _BACK_SECONDS,
        f"{REVOCATIONS} acknowledged revocations, {len(lost)} lost; a new leader took writes after"
        f" {took:.1f} s, the service worked {back:.1f} s after that",
    )


def _revoke(service: Server, issued: Sequence[str], acknowledged: threading.Semaphore) -> None:
    with Caller(service.url) as caller:
        for token in issued:
            # Repeated until it is acknowledged: a 503 leaves open whether it was done.
            while caller.revoke(token).status != 200:
                time.sleep(0.05)
            acknowledged.release()


def _takes_writes(cluster: PatroniCluster, former: str) -> bool:
    """Whether another server than the former leader is the primary."""
    for name in NODES:
        if name != former:
            with suppress(psycopg2.Error):
                observe.run_sql(cluster.direct_url(name, _DATABASE), _WRITE)
                return True
    return False
