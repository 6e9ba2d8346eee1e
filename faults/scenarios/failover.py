"""The primary server is lost and its standby is promoted."""

from sqlalchemy.engine import make_url

from faults import observe
from faults.calls import Caller, Tokens, read_tokens
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up
from faults.registry import Outcome, scenario
from harness.postgresql import PostgreSQL

REVOCATIONS = 20


@scenario("F11", f"primary crashed after {REVOCATIONS} revocations, synchronous standby promoted")
def failover_to_synchronous_standby(context: ScenarioContext) -> Outcome:
    primary, url = context.cluster(durable=True)
    standby = context.standby(primary)
    primary.require_standby()
    service = context.serve(_either(url, standby))
    revoked: list[Tokens] = []
    sign_up(service)
    with Caller(service.url) as caller:
        kept = read_tokens(caller.log_in(EMAIL))
        for _ in range(REVOCATIONS):
            tokens = read_tokens(caller.log_in(EMAIL))
            if caller.log_out(tokens.access_token).status == 204:
                revoked.append(tokens)
        primary.stop("immediate")
        on_standby = caller.log_in(EMAIL)
        standby.promote()
        back = seconds_until(lambda: observe.is_working(service.url, kept.access_token))
        alive = [one for one in revoked if caller.use(one.access_token).status != 401]
        after = caller.log_in(EMAIL)
    return Outcome(
        len(revoked) == REVOCATIONS
        and not alive
        and observe.is_503_with_retry_after(on_standby)
        and after.status == 200
        and back <= 2,
        f"{len(revoked)} acknowledged revocations, {len(alive)} lost; before the promotion a login"
        f" {on_standby.status}, after it {after.status}; recovered after {back:.1f} s",
    )


def _either(url: str, standby: PostgreSQL) -> str:
    """A URL with both servers, of which libpq chooses the one that accepts writes."""
    first = make_url(url)
    hosts = (f"127.0.0.1:{first.port}", f"127.0.0.1:{standby.port}")
    both = first.set(host=None, port=None).update_query_dict(
        {"host": hosts, "target_session_attrs": "read-write"}
    )
    return both.render_as_string(hide_password=False)
