"""What has been acknowledged is not lost, and what is cut short leaves nothing half done."""

import random
import time
from collections import Counter

from faults import looks
from faults.calls import Caller
from faults.load import Load
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, kill_a_worker, seconds_until, sign_up

CRASHES = 20
KILLS = 50


@scenario("F8", "the answer to COMMIT lost, 5 refreshes and 5 revocations", quick=True)
def commit_answers_lost(stage: Stage) -> Seen:
    url = stage.database()
    relay, relayed = stage.relay(url)
    # Otherwise it could be the note of a use whose COMMIT is lost.
    service = stage.serve(relayed, track_last_used=False)
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
    half = looks.run_sql(url, looks.HALF_WRITTEN)
    expected = {
        "refresh 503, again 400": 5,
        "then its access token 401": 10,
        "revoke 503, again 200": 5,
    }
    return Seen(
        seen == expected and not half,
        "; ".join(f"{number} times {what}" for what, number in seen.items())
        + f"; {len(half)} rows half written",
    )


@scenario("F9", f"one of two workers killed (SIGKILL) {KILLS} times at random under load")
def workers_killed(stage: Stage) -> Seen:
    url = stage.database()
    service = stage.serve(url, workers=2)
    with Load(service.url, clients=6) as load:
        for _ in range(KILLS):
            time.sleep(random.uniform(0, 1))
            kill_a_worker(service)
    settled = seconds_until(lambda: looks.health(service.url) == (200, 200))
    half = looks.run_sql(url, looks.HALF_WRITTEN)
    broken = load.history.judge(service.url)
    return Seen(
        not half and not broken and settled < 5 and load.history.revocations > KILLS,
        f"{looks.count(load.answers)}; {load.history.revocations} revocations,"
        f" {len(broken)} broken; {len(half)} rows half written",
    )


@scenario(
    "F12",
    f"PostgreSQL with synchronous_commit=off crashed {CRASHES} times right after a revocation",
)
def revocations_before_crashes(stage: Stage) -> Seen:
    database, url = stage.cluster(durable=True, synchronous_commit="off")
    service = stage.serve(url)
    sign_up(service)
    lost = unsettled = 0
    for _ in range(CRASHES):
        with Caller(service.url) as caller:
            token = caller.log_in(EMAIL).body["access_token"]
            ended = caller.log_out(token)
            database.stop("immediate")
            database.start()
            back = seconds_until(lambda: looks.health(service.url) == (200, 200))
            unsettled += ended.status != 204 or back > 2
            lost += caller.use(token).status != 401
    return Seen(
        lost == 0 and unsettled == 0,
        f"{CRASHES} acknowledged revocations, {lost} lost; {unsettled} recoveries over 2 s",
    )
