"""A primary that was replaced without noticing it, with a service that is still connected to it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import make_url

from faults import observe
from faults.calls import Answer, Caller
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up, suspended
from faults.issued import issue
from faults.registry import Outcome, scenario
from harness.postgresql import PostgreSQL
from harness.server import Server

REVOCATIONS = 300
FENCING_SECONDS = 3
_SUCCESSOR = "successor"
_FROZEN_SECONDS = 1.0
_REPLAYED = "SELECT 1 FROM access_tokens"


@dataclass(frozen=True, slots=True)
class _Seen:
    """`used` are the answers of the service at the former primary, each right after a revocation
    that was acknowledged at the new one, and `at` the time since the first of these.
    """

    before: Answer
    used: Sequence[Answer]
    at: Sequence[float]

    @property
    def stale(self) -> int:
        return sum(one.status == 200 for one in self.used)

    @property
    def last_stale_at(self) -> float:
        return max(
            (at for at, one in zip(self.at, self.used, strict=True) if one.status == 200),
            default=0.0,
        )


@scenario(
    "F36", f"primary frozen, replaced, thawed; {REVOCATIONS} revocations; without fencing, with"
)
def former_primary(context: ScenarioContext) -> Outcome:
    return _compare(context, has_standby=False)


@scenario("F36", "the same, where a standby that still follows it answers token checks")
def former_primary_with_standby(context: ScenarioContext) -> Outcome:
    return _compare(context, has_standby=True)


@scenario("F36", "the same without fencing, where the service knows the new primary's address")
def former_primary_beside_new(context: ScenarioContext) -> Outcome:
    seen = _replace(context, fencing_seconds=0, has_standby=True, knows_successor=True)
    return Outcome(
        seen.before.status == 200 and seen.last_stale_at <= 2,
        f"{seen.stale} of {REVOCATIONS} revoked tokens accepted, the last"
        f" {seen.last_stale_at:.1f} s after the first revocation; {observe.statuses(seen.used)}",
    )


def _compare(context: ScenarioContext, *, has_standby: bool) -> Outcome:
    without = _replace(context, fencing_seconds=0, has_standby=has_standby)
    fenced = _replace(context, fencing_seconds=FENCING_SECONDS, has_standby=has_standby)
    return Outcome(
        without.before.status == fenced.before.status == 200
        and without.stale > 0
        and fenced.stale == 0
        and all(map(observe.is_503_with_retry_after, fenced.used)),
        f"without, {without.stale} revoked tokens accepted; with {FENCING_SECONDS} s,"
        f" {fenced.stale}: {observe.statuses(fenced.used)}",
    )


def _replace(
    context: ScenarioContext,
    *,
    fencing_seconds: float,
    has_standby: bool,
    knows_successor: bool = False,
) -> _Seen:
    primary, url = context.cluster()
    successor = context.standby(primary, cluster_name=_SUCCESSOR)
    standbys = [context.standby(primary).url("counterfoil")] if has_standby else []
    primary.require_standby(_SUCCESSOR)
    old = context.serve(
        _with_second_host(url, successor) if knows_successor else url,
        lookup_database_urls=",".join(standbys),
        fencing_seconds=fencing_seconds,
        track_last_used="off",
    )
    sign_up(old)
    issued = issue(url, EMAIL, REVOCATIONS + 1)
    new_url = successor.url("counterfoil")
    seconds_until(lambda: len(observe.run_sql(new_url, _REPLAYED)) > REVOCATIONS)
    with Caller(old.url) as caller:
        before = caller.use(issued[-1])
        with suspended(primary):
            successor.promote()
            time.sleep(_FROZEN_SECONDS)
        # Asks for marks, as it would behind a proxy, and so begins the new reign.
        new = context.serve(
            new_url,
            lookup_database_urls=url,
            fencing_seconds=fencing_seconds,
            track_last_used="off",
        )
    return _revoke(new, old, before, issued[:REVOCATIONS])


def _revoke(new: Server, old: Server, before: Answer, issued: Sequence[str]) -> _Seen:
    used: list[Answer] = []
    at: list[float] = []
    with Caller(new.url) as caller:
        # The new primary takes no writes at first. What a 503 has left open may have been done.
        seconds_until(lambda: caller.log_out(issued[0]).status in {204, 401})
        with Caller(old.url) as user:
            for token in issued:
                while caller.log_out(token).status not in {204, 401}:
                    time.sleep(0.05)
                at.append(time.monotonic())
                used.append(user.use(token))
    return _Seen(before, used, [moment - at[0] for moment in at])


def _with_second_host(url: str, second: PostgreSQL) -> str:
    first = make_url(url)
    hosts = (f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")
    both = first.set(host=None, port=None).update_query_dict({"host": hosts})
    return both.render_as_string(hide_password=False)
