"""A standby lags: it answers nobody, and of several hosts the primary is found."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from api.commands.cli import cli
from counterfoil import lookup
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from counterfoil.lookup import server
from database import migrations
from database.settings import DatabaseSettings
from harness.pgbouncer import run_pgbouncer
from harness.postgresql import PostgreSQL
from harness.relay import Relay
from tests.support.client import Client
from tests.support.waiting import until

MakeClient = Callable[..., Client]


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgreSQL]:
    with PostgreSQL.launch() as server:
        migrations.upgrade(server.create_database("counterfoil"))
        yield server


@pytest.fixture(scope="module")
def standby(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    with primary.launch_standby() as server:
        yield server


@pytest.fixture
def database_url(primary: PostgreSQL) -> str:
    return url_of(primary)


def url_of(server: PostgreSQL) -> str:
    return server.url("counterfoil")


def assert_unavailable(client: Client, access_token: str) -> None:
    me = client.me(access_token)
    assert (me.status_code, me.headers["retry-after"]) == (503, "1")
    assert client.try_to_log_in("other@example.org").status_code == 503
    assert client.http.get("/health/ready").status_code == 503


def test_a_standby_answers_no_token_until_it_is_promoted(
    make_client: MakeClient, primary: PostgreSQL
) -> None:
    tokens = make_client().sign_up()
    settings = {"start_without_database": True, "database_deadline_seconds": 1}
    with primary.launch_standby() as standby:
        client = make_client(database_url=url_of(standby), **settings)
        assert_unavailable(client, tokens.access_token)
        standby.promote()
        until(lambda: client.me(tokens).status_code == 200)
        assert client.try_to_log_in().status_code == 200


@pytest.mark.parametrize("prepared_statements", [True, False])
def test_a_server_that_comes_back_as_a_standby_answers_no_token(
    make_client: MakeClient,
    primary: PostgreSQL,
    standby: PostgreSQL,
    prepared_statements: bool,
) -> None:
    with Relay(primary.port) as address:
        client = make_client(
            database_url=address.url(url_of(primary)),
            prepared_statements=prepared_statements,
            database_deadline_seconds=1,
        )
        tokens = client.sign_up(f"bob{prepared_statements}@example.org")
        address.target_port = standby.port
        address.reset_connections()
        assert_unavailable(client, tokens.access_token)
        address.target_port = primary.port
        address.reset_connections()
        until(lambda: client.me(tokens).status_code == 200)


def test_pgbouncer_that_turns_to_a_standby_answers_no_token(
    make_client: MakeClient, primary: PostgreSQL, standby: PostgreSQL
) -> None:
    """Its clients keep their connections and are not told."""
    with Relay(primary.port) as address, run_pgbouncer(address.url(url_of(primary))) as pgbouncer:
        # The lookup goes on asking until its deadline.
        client = make_client(
            database_url=pgbouncer, prepared_statements=False, database_deadline_seconds=3
        )
        tokens = client.sign_up("cleo@example.org")
        address.target_port = standby.port
        address.reset_connections()
        assert_unavailable(client, tokens.access_token)


def test_an_application_with_the_library_gets_no_answer_of_a_standby(
    make_client: MakeClient, primary: PostgreSQL, standby: PostgreSQL
) -> None:
    tokens = make_client().sign_up("dora@example.org")
    with ExitStack() as running:
        asked = {}
        for name, place in (("primary", primary), ("standby", standby)):
            app = FastAPI()
            Counterfoil(app, database_url=url_of(place), deadline_seconds=1)

            @app.get("/")
            async def read(identity: CurrentIdentity) -> int:
                return identity.user_id

            client = running.enter_context(TestClient(app))
            asked[name] = client.get("/", headers=tokens.headers).status_code
    assert asked == {"primary": 200, "standby": 503}


def test_of_several_hosts_the_primary_is_found(
    make_client: MakeClient, primary: PostgreSQL, standby: PostgreSQL
) -> None:
    hosts = (f"127.0.0.1:{standby.port}", f"127.0.0.1:{primary.port}")
    both = make_url(url_of(primary)).set(host=None, port=None)
    address = both.update_query_dict({"host": hosts}).render_as_string(hide_password=False)
    client = make_client(database_url=address)
    assert client.me(client.sign_up("elsa@example.org")).status_code == 200


def test_of_several_addresses_of_a_name_the_primary_is_found() -> None:
    resolved = {"host": "db,db", "hostaddr": "192.0.2.1,192.0.2.2"}
    assert server.only_primary(resolved)["target_session_attrs"] == "primary"
    assert "target_session_attrs" not in server.only_primary({"host": "db"})


@pytest.mark.parametrize("wanted", ["any", "standby", "prefer-standby", "read-only"])
def test_an_address_that_would_take_a_standby_is_rejected(wanted: str) -> None:
    url = f"postgresql://ada@db/counterfoil?target_session_attrs={wanted}"
    with pytest.raises(ValueError, match="read-write or primary"):
        lookup.from_url(url, deadline_seconds=1)
    with pytest.raises(ValidationError, match="read-write or primary"):
        DatabaseSettings(database_url=url)


@pytest.mark.parametrize("wanted", ["read-write", "primary"])
def test_an_address_that_asks_for_the_primary_is_taken(wanted: str) -> None:
    url = f"postgresql://ada@db/counterfoil?target_session_attrs={wanted}"
    assert DatabaseSettings(database_url=url).url.query["target_session_attrs"] == wanted


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_a_command_says_that_the_server_is_a_standby(standby: PostgreSQL, command: str) -> None:
    done = CliRunner(env={"DATABASE_URL": url_of(standby)}).invoke(cli, [command])
    assert done.exit_code == 1
    assert done.stderr.endswith("cannot be used: the server is a standby\n")
