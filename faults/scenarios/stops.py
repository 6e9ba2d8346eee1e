"""The service is stopped under load."""

import time

from faults import observe
from faults.calls import Answer, Caller
from faults.context import ScenarioContext, sign_up, suspended
from faults.load import Load
from faults.registry import Outcome, scenario

_USED = "SELECT count(*) FROM sessions WHERE last_used_at > created_at + interval '1 second'"


@scenario("F10", "SIGTERM under load, 1 worker", quick=True)
def one_worker_stopped(context: ScenarioContext) -> Outcome:
    return _stop(context, workers=1)


@scenario("F10", "SIGTERM under load, 2 workers")
def two_workers_stopped(context: ScenarioContext) -> Outcome:
    return _stop(context, workers=2)


def _stop(context: ScenarioContext, *, workers: int) -> Outcome:
    url = context.database()
    service = context.serve(url, workers=workers, last_used_seconds=1)
    token = sign_up(service).access_token
    with Load(service.url, clients=30, pause=0.0) as load, Caller(service.url) as caller:
        time.sleep(1.5)
        caller.use(token)
        asked = time.monotonic()
        service.stop()
        took = time.monotonic() - asked
    broken = [answer for answer in load.answers if _is_broken(answer)]
    ((used,),) = observe.run_sql(url, _USED)
    return Outcome(
        not broken and took < 5 and used >= 1,
        f"{observe.statuses(answer for answer in load.answers if answer.status)};"
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
    return (answer.status >= 500 and not observe.is_503_with_retry_after(answer)) or (
        not answer.status and answer.error != "ConnectionRefusedError"
    )
