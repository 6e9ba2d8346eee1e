"""The service is stopped while clients are at work."""

import time

from faults import looks
from faults.calls import Answer, Caller
from faults.load import Load
from faults.registry import Seen, scenario
from faults.stage import Stage, sign_up, stopped

_NOTED = "SELECT count(*) FROM sessions WHERE last_used_at > created_at + interval '1 second'"


@scenario("F10", "SIGTERM under load, 1 worker", quick=True)
def one_worker_stopped(stage: Stage) -> Seen:
    return _stop(stage, workers=1)


@scenario("F10", "SIGTERM under load, 2 workers")
def two_workers_stopped(stage: Stage) -> Seen:
    return _stop(stage, workers=2)


def _stop(stage: Stage, *, workers: int) -> Seen:
    url = stage.database()
    service = stage.serve(url, workers=workers, last_used_seconds=1)
    token = sign_up(service).access_token
    with Load(service.url, clients=30, pause=0.0) as load, Caller(service.url) as caller:
        time.sleep(1.5)
        caller.use(token)
        asked = time.monotonic()
        service.stop()
        took = time.monotonic() - asked
    broken = [answer for answer in load.answers if _is_broken(answer)]
    ((noted,),) = looks.run_sql(url, _NOTED)
    return Seen(
        not broken and took < 5 and noted >= 1,
        f"{looks.count(answer for answer in load.answers if answer.status)};"
        f" connections broken: {looks.count(broken)}; ended after {took:.1f} s;"
        f" the use of a moment before was {'written' if noted else 'lost'}",
    )


@scenario("F10", "SIGTERM while PostgreSQL hangs (SIGSTOP) with requests waiting")
def stopped_while_hung(stage: Stage) -> Seen:
    database, url = stage.cluster()
    service = stage.serve(url)
    with Load(service.url, clients=10) as load:
        time.sleep(0.5)
        with stopped(database):
            time.sleep(stage.deadline / 2)
            asked = time.monotonic()
            service.stop()
            took = time.monotonic() - asked
    broken = [answer for answer in load.answers if _is_broken(answer)]
    return Seen(
        not broken and took < 3 * stage.deadline + 1,
        f"{looks.count(answer for answer in load.answers if answer.status)};"
        f" connections broken: {looks.count(broken)}; ended after {took:.1f} s",
    )


def _is_broken(answer: Answer) -> bool:
    """A connection that is refused has not been let in: that is no promise broken."""
    return (answer.status >= 500 and not looks.is_refusal_in_order(answer)) or (
        not answer.status and answer.error != "ConnectionRefusedError"
    )
