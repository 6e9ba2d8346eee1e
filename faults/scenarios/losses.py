"""Lost responses, killed workers and crashes: nothing acknowledged is lost, nothing half done."""

import random
import time
from collections import Counter

from faults import observe
from faults.calls import Caller
from faults.context import EMAIL, ScenarioContext, kill_random_worker, seconds_until, sign_up
from faults.load import Load
from faults.registry import Outcome, scenario

CRASHES = 20
KILLS = 50


@scenario("F8", "the answer to COMMIT lost, 5 refreshes and 5 revocations", quick=True)
def commit_answers_lost(context: ScenarioContext) -> Outcome:
    url = context.database()
    relay, relayed = context.relay(url)
    # Otherwise the lost COMMIT could be that of a deferred write, or of pruning.
    service = context.serve(
        relayed, track_last_used=False, audit_refused_tokens=False, prune_interval_seconds=0
    )
    seen: Counter[str] = Counter()
    sign_up(service)
    for _ in range(5):
        with Caller(service.url) as caller:
            tokens = sign_up(service)
            relay.commit_responses_to_lose = 1
            refreshed = caller.refresh(tokens.refresh_token)
            again = caller.refresh(tokens.refresh_token)
            seen[f"refresh {refreshed.status}, again {again.status}"] += 1
            seen[f"then its access token {caller.use(tokens.access_token).status}"] += 1

            tokens = sign_up(service)
            relay.commit_responses_to_lose = 1
            ended = caller.revoke(tokens.refresh_token)
            again = caller.revoke(tokens.refresh_token)
            seen[f"revoke {ended.status}, again {again.status}"] += 1
            seen[f"then its access token {caller.use(tokens.access_token).status}"] += 1
    inconsistent = observe.run_sql(url, observe.INCONSISTENT_ROWS)
    expected = {
        "refresh 503, again 400": 5,
        "then its access token 401": 10,
        "revoke 503, again 200": 5,
    }
    return Outcome(
        seen == expected and not inconsistent,
        "; ".join(f"{number} times {what}" for what, number in seen.items())
        + f"; {len(inconsistent)} inconsistent rows",
    )


@scenario("F9", f"one of two workers killed (SIGKILL) {KILLS} times at random under load")
def workers_killed(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url, workers=2)
    with Load(service.url, clients=6) as load:
        for _ in range(KILLS):
            time.sleep(random.uniform(0, 1))
            kill_random_worker(service)
    settled = seconds_until(lambda: observe.health(service.url) == (200, 200))
    inconsistent = observe.run_sql(url, observe.INCONSISTENT_ROWS)
    violations = load.history.find_violations(service.url)
    return Outcome(
        not inconsistent and not violations and settled < 5 and load.history.revocations > KILLS,
        f"{observe.statuses(load.answers)}; {load.history.revocations} revocations,"
        f" {len(violations)} violations; {len(inconsistent)} inconsistent rows",
    )


@scenario(
    "F12",
    f"PostgreSQL with synchronous_commit=off crashed {CRASHES} times right after a revocation",
)
def revocations_before_crashes(context: ScenarioContext) -> Outcome:
    database, url = context.cluster(durable=True, synchronous_commit="off")
    service = context.serve(url)
    sign_up(service)
    lost = unsettled = 0
    for _ in range(CRASHES):
        with Caller(service.url) as caller:
            token = caller.log_in(EMAIL).body["access_token"]
            ended = caller.log_out(token)
            database.stop("immediate")
            database.start()
            back = seconds_until(lambda: observe.health(service.url) == (200, 200))
            unsettled += ended.status != 204 or back > 2
            lost += caller.use(token).status != 401
    return Outcome(
        lost == 0 and unsettled == 0,
        f"{CRASHES} acknowledged revocations, {lost} lost; {unsettled} recoveries over 2 s",
    )
