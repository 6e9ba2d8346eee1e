"""A standby that is asked for tokens, and one that commits wait for and that does not answer."""

import threading
import time

from faults import observe
from faults.calls import Answer, Caller, read_tokens
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up, suspended
from faults.load import Load
from faults.registry import Outcome, scenario

REVOCATIONS = 20
_REPEATED = 3
_POOL = 4
_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@scenario("F11", f"the host becomes a standby that has not replayed {REVOCATIONS} revocations")
def connected_to_standby(context: ScenarioContext) -> Outcome:
    primary, url = context.cluster()
    relay, relayed = context.relay(url)
    service = context.serve(relayed, track_last_used=False)
    sign_up(service)
    with Caller(service.url) as caller:
        tokens = [read_tokens(caller.log_in(EMAIL)) for _ in range(REVOCATIONS)]
        standby = context.standby(primary, recovery_min_apply_delay="1h")
        revoked = [caller.log_out(one.access_token).status for one in tokens]
        relay.target_port = standby.port
        relay.reset_connections()
        used = [caller.use(one.access_token) for one in tokens]
        written = caller.log_in(EMAIL)
        ready = observe.health(service.url)
        standby.promote()
        back = seconds_until(lambda: observe.health(service.url) == (200, 200))
        promoted = [caller.use(one.access_token) for one in tokens]
    return Outcome(
        set(revoked) == {204}
        and all(observe.is_503_with_retry_after(answer) for answer in [*used, written])
        and ready == (200, 503)
        and {answer.status for answer in promoted} == {401}
        and back <= 2,
        f"token checks {observe.statuses(used)}, a login {written.status}, ready {ready[1]};"
        f" promoted, token checks {observe.statuses(promoted)}, all well {back:.1f} s after",
    )


@scenario("F11", "the standby frozen, the primary crashed in the middle of revocations, and again")
def revoked_again_after_a_crash(context: ScenarioContext) -> Outcome:
    """What was never acknowledged is in force after the crash, but on the primary alone."""
    primary, url = context.cluster(durable=True)
    standby = context.standby(primary)
    primary.require_standby()
    service = context.serve(url, track_last_used=False)
    sign_up(service)
    with Caller(service.url) as caller:
        tokens = [read_tokens(caller.log_in(EMAIL)) for _ in range(_REPEATED)]
        with suspended(standby):
            first = [caller.log_out(one.access_token) for one in tokens]
            primary.stop("immediate")
            primary.start()
            seconds_until(lambda: observe.health(service.url) == (200, 200))
            in_force = [caller.use(one.access_token) for one in tokens]
            again = [caller.revoke(one.refresh_token) for one in tokens]
        seconds_until(lambda: caller.revoke(tokens[0].refresh_token).status == 200)
        at_last = [caller.revoke(one.refresh_token) for one in tokens]
        primary.stop("immediate")
    standby.promote()
    successor = context.serve(standby.url("counterfoil"), track_last_used=False)
    with Caller(successor.url) as caller:
        alive = [one for one in tokens if caller.use(one.access_token).status != 401]
    return Outcome(
        all(observe.is_503_with_retry_after(answer) for answer in [*first, *again])
        and {answer.status for answer in in_force} == {401}
        and {answer.status for answer in at_last} == {200}
        and not alive,
        f"logouts {observe.statuses(first)}; after the crash"
        f" token checks {observe.statuses(in_force)}, revoked again {observe.statuses(again)};"
        f" with the standby back {observe.statuses(at_last)};"
        f" {len(alive)} alive on the standby after its promotion",
    )


@scenario("F11", f"the standby that commits wait for frozen for three deadlines, pool of {_POOL}")
def standby_frozen(context: ScenarioContext) -> Outcome:
    primary, url = context.cluster()
    standby = context.standby(primary)
    service = context.serve(url, database_pool_size=_POOL, track_last_used=False)
    token = sign_up(service).access_token
    checks: list[Answer] = []
    most = 0
    with Load(service.url, clients=20) as load, Caller(service.url) as caller:
        primary.require_standby()
        with suspended(standby):
            frozen = time.monotonic()
            while time.monotonic() - frozen < 3 * context.deadline:
                checks.append(caller.use(token))
                most = max(most, len(observe.run_sql(url, _WAITING)))
            ended = time.monotonic()
        back = seconds_until(lambda: caller.log_in(EMAIL).status == 200)
        time.sleep(0.5)
    meanwhile = observe.sent_between(load.answers, frozen, ended - context.deadline)
    violations = load.history.find_violations(service.url)
    return Outcome(
        {answer.status for answer in checks} == {200}
        and 0 < most <= _POOL
        and observe.slowest(load.answers) <= context.deadline + 0.5
        and back <= 2
        and not violations,
        f"token checks {observe.statuses(checks)}, others {observe.statuses(meanwhile)};"
        f" at most {most} commits waited at a time; all well {back:.1f} s after;"
        f" {len(violations)} violations",
    )


@scenario("F11", f"pg_cancel_backend while {_REPEATED} revocations wait for the standby")
def waits_cancelled(context: ScenarioContext) -> Outcome:
    primary, url = context.cluster()
    standby = context.standby(primary)
    service = context.serve(url, track_last_used=False)
    sign_up(service)
    answers: list[Answer] = []
    with Caller(service.url) as caller:
        tokens = [read_tokens(caller.log_in(EMAIL)) for _ in range(_REPEATED)]
        primary.require_standby()
        with suspended(standby):
            for one in tokens:
                logout = threading.Thread(
                    target=lambda one=one: answers.append(caller.log_out(one.access_token))
                )
                logout.start()
                seconds_until(lambda: bool(observe.run_sql(url, _WAITING)))
                observe.run_sql(url, f"SELECT pg_cancel_backend(pid) FROM ({_WAITING}) AS waiting")
                logout.join()
    return Outcome(
        all(observe.is_503_with_retry_after(answer) for answer in answers),
        f"logouts {observe.statuses(answers)}",
    )
