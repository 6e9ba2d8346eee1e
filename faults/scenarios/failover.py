"""The primary is lost and its standby promoted."""

from contextlib import closing

import psycopg2
from sqlalchemy.engine import make_url

from faults import looks
from faults.calls import Caller, Tokens, read_tokens
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, seconds_until, sign_up
from harness.postgresql import PostgreSQL

REVOCATIONS = 20


@scenario("F11", f"primary crashed after {REVOCATIONS} revocations, synchronous standby promoted")
def failover_to_synchronous_standby(stage: Stage) -> Seen:
    primary, url = stage.cluster(durable=True)
    standby = stage.standby(primary)
    _make_synchronous(url)
    service = stage.serve(_either(url, standby))
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
        back = seconds_until(lambda: looks.works(service.url, kept.access_token))
        alive = [one for one in revoked if caller.use(one.access_token).status != 401]
        after = caller.log_in(EMAIL)
    return Seen(
        len(revoked) == REVOCATIONS
        and not alive
        and looks.is_refusal_in_order(on_standby)
        and after.status == 200
        and back <= 2,
        f"{len(revoked)} acknowledged revocations, {len(alive)} lost; before the promotion a login"
        f" {on_standby.status}, after it {after.status}; all well {back:.1f} s after",
    )


def _make_synchronous(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        cursor.execute("SELECT pg_reload_conf()")


def _either(url: str, standby: PostgreSQL) -> str:
    """Whichever of the two takes writes, as libpq finds out for itself."""
    first = make_url(url)
    hosts = (f"127.0.0.1:{first.port}", f"127.0.0.1:{standby.port}")
    both = first.set(host=None, port=None).update_query_dict(
        {"host": hosts, "target_session_attrs": "read-write"}
    )
    return both.render_as_string(hide_password=False)


@scenario("F11", "connected to a standby that takes no writes")
def connected_to_standby(stage: Stage) -> Seen:
    primary, url = stage.cluster()
    standby = stage.standby(primary)
    with stage.serve(url) as first:
        tokens = sign_up(first)
    service = stage.serve(standby.url("counterfoil"), track_last_used=False)
    with Caller(service.url) as caller:
        used = caller.use(tokens.access_token)
        written = caller.log_in(EMAIL)
    return Seen(
        used.status == 200 and looks.is_refusal_in_order(written),
        f"a token check {used.status}, a login {written.status}",
    )
