"""Behind PgBouncer the deadlines hold as well, and our limits do not leak to its other clients."""

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from harness.pgbouncer import run_pgbouncer
from harness.relay import Relay
from tests.support.client import Client
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
MakeClient = Callable[..., Client]

SETTINGS = {"prepared_statements": False, "database_deadline_seconds": 1.5}


def test_a_database_that_goes_silent_behind_it_is_unavailable_and_comes_back(
    make_client: MakeClient, database_url: str
) -> None:
    with (
        Relay(make_url(database_url).port or 5432) as relay,
        run_pgbouncer(relay.url(database_url)) as address,
    ):
        client = make_client(database_url=address, **SETTINGS)
        tokens = client.sign_up()
        relay.drops_data = True
        assert client.me(tokens).status_code == 503
        assert client.try_to_log_in().status_code == 503
        assert client.http.get("/health/live").status_code == 200
        relay.drops_data = False
        # As a network does whose connections have died; until then PgBouncer waits for them.
        relay.reset_connections()
        until(lambda: client.me(tokens).status_code == 200)
        assert client.try_to_log_in().status_code == 200


def test_our_limits_end_with_our_transactions(make_client: MakeClient, database_url: str) -> None:
    with run_pgbouncer(database_url) as address:
        client = make_client(database_url=address, **SETTINGS)
        assert client.me(client.sign_up()).status_code == 200
        with closing(psycopg2.connect(address)) as other, other.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchall() == [("0",)]
