"""Standbys answer lookups, and never with what was true before the request."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from api.commands.cli import cli
from counterfoil import lookup
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from database import migrations, queries
from database.engine.session import Database
from database.settings import DatabaseSettings
from faults.context import suspended
from harness.postgresql import PostgreSQL
from harness.processes import free_port
from harness.relay import Relay
from tests.support.administrator import grant, run_sql
from tests.support.client import Client, Tokens
from tests.support.waiting import until

MakeClient = Callable[..., Client]
MakeStandbyClient = Callable[..., Client]

DEADLINE = 2.5


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgreSQL]:
    with PostgreSQL.launch() as server:
        migrations.upgrade(server.create_database("counterfoil"))
        yield server


@pytest.fixture(scope="module")
def standby(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    with primary.launch_standby() as server:
        yield server


@pytest.fixture(scope="module")
def slow_standby(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    """Applies each commit a moment later."""
    with primary.launch_standby({"recovery_min_apply_delay": "100ms"}) as server:
        yield server


@pytest.fixture
def database_url(primary: PostgreSQL) -> Iterator[str]:
    yield url_of(primary)
    run_sql(url_of(primary), "DELETE FROM users; DELETE FROM audit_events")


@pytest.fixture
def make_standby_client(make_client: MakeClient, service_url: str) -> MakeStandbyClient:
    """A service that asks standbys at these ports as soon as they can be used."""

    def make(*ports: int, primary_port: int | None = None, **settings: object) -> Client:
        chosen = {
            "database_url": at(service_url, primary_port) if primary_port else service_url,
            "database_deadline_seconds": DEADLINE,
            "lookup_database_urls": ",".join(at(service_url, port) for port in ports),
            "lookup_replica_patience_milliseconds": 500,
            "track_last_used": False,
            "metrics": "on",
            **settings,
        }
        return make_client(**chosen)

    return make


@contextmanager
def lazy_log(server: PostgreSQL) -> Iterator[None]:
    """Nothing but a commit that waits for it brings the log to the disk, for ten seconds."""
    server.configure("wal_writer_delay", "10s")
    try:
        yield
    finally:
        server.configure("wal_writer_delay", None)


def at(url: str, port: int) -> str:
    return make_url(url).set(port=port).render_as_string(hide_password=False)


def by_sql(url: str, statement: str) -> Callable[..., object]:
    return lambda *_, **__: run_sql(url, statement)


def has_replayed(primary: PostgreSQL, standby: PostgreSQL) -> bool:
    ((position,),) = run_sql(url_of(primary), "SELECT pg_current_wal_insert_lsn()")
    replayed = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
    return run_sql(url_of(standby), replayed) == [(True,)]


def url_of(server: PostgreSQL) -> str:
    return server.url("counterfoil")


def batches(client: Client, server: str = "standby", outcome: str = "answered") -> float:
    """How many batches ended like this, at the primary or at all standbys together."""
    found = 0.0
    for line in client.http.get("/metrics").text.splitlines():
        if line.startswith("counterfoil_lookup_batches_total{") and f'outcome="{outcome}"' in line:
            is_primary = 'server="primary"' in line
            found += float(line.split()[-1]) if is_primary == (server == "primary") else 0
    return found


def gauge(client: Client, name: str) -> float:
    lines = client.http.get("/metrics").text.splitlines()
    return next(
        float(line.split()[-1]) for line in lines if line.startswith(f"counterfoil_{name} ")
    )


def wait_for_standbys(client: Client, count: int) -> None:
    until(lambda: gauge(client, "usable_standbys") == count)


def until_a_standby_answers(client: Client, tokens: Tokens, answered: float) -> None:
    """It may be too late for a request, on a busy machine, and rest once more."""
    until(lambda: client.me(tokens).status_code == 200 and batches(client) > answered)


@pytest.mark.parametrize("prepared_statements", [True, False])
def test_a_standby_answers_only_once_it_knows_each_revocation(
    make_standby_client: MakeStandbyClient,
    database_url: str,
    primary: PostgreSQL,
    slow_standby: PostgreSQL,
    prepared_statements: bool,
) -> None:
    # A standby that does not know the role of the service yet would rest for ten seconds.
    until(lambda: has_replayed(primary, slow_standby))
    client = make_standby_client(slow_standby.port, prepared_statements=prepared_statements)
    # The commit brings the whole log to the standby, which an idle primary may not do for long.
    client.register()
    wait_for_standbys(client, 1)
    seen = []
    for revoke in (client.http.post, by_sql(database_url, "DELETE FROM access_tokens")) * 2:
        tokens = client.log_in()
        seen.append(client.me(tokens).status_code)
        revoke("/logout", headers=tokens.headers)
        seen.append(client.me(tokens).status_code)
    assert seen == 4 * [200, 401]
    assert batches(client) >= 8
    assert batches(client, "primary") == 0


def test_a_revocation_that_is_not_yet_on_the_disk_holds(
    make_standby_client: MakeStandbyClient,
    database_url: str,
    primary: PostgreSQL,
    standby: PostgreSQL,
) -> None:
    """It is sent to no standby before, so the primary has to answer."""
    client = make_standby_client(standby.port, lookup_replica_patience_milliseconds=50)
    tokens = client.sign_up()
    wait_for_standbys(client, 1)
    with lazy_log(primary):
        run_sql(database_url, "SET synchronous_commit = off; DELETE FROM access_tokens")
        assert client.me(tokens).status_code == 401
    assert (batches(client, outcome="behind"), batches(client, "primary")) == (1, 1)


def test_a_standby_that_stops_replaying_rests_until_it_has_caught_up(
    make_standby_client: MakeStandbyClient, standby: PostgreSQL
) -> None:
    client = make_standby_client(standby.port, lookup_replica_patience_milliseconds=50)
    tokens, others = client.sign_up(), client.log_in()
    wait_for_standbys(client, 1)
    run_sql(url_of(standby), "SELECT pg_wal_replay_pause()")
    client.http.post("/logout", headers=tokens.headers)
    assert [client.me(one).status_code for one in (tokens, others)] == [401, 200]
    assert gauge(client, "usable_standbys") == 0
    assert batches(client, outcome="behind") == 1
    answered = batches(client)
    run_sql(url_of(standby), "SELECT pg_wal_replay_resume()")
    wait_for_standbys(client, 1)
    assert [client.me(one).status_code for one in (tokens, others)] == [401, 200]
    until_a_standby_answers(client, others, answered)


def test_what_a_silent_standby_does_not_answer_the_primary_does(
    make_standby_client: MakeStandbyClient, standby: PostgreSQL
) -> None:
    client = make_standby_client(standby.port)
    tokens = client.sign_up()
    wait_for_standbys(client, 1)
    with suspended(standby):
        assert [client.me(tokens).status_code for _ in range(2)] == [200, 200]
        assert client.http.get("/health/ready").status_code == 200
    assert (batches(client, outcome="silent"), batches(client, "primary")) >= (1, 2)


def test_what_a_standby_answers_too_late_the_primary_does(
    make_standby_client: MakeStandbyClient, standby: PostgreSQL
) -> None:
    """More often than there are connections to it, which are used again once they have answered."""
    with Relay(standby.port) as way:
        client = make_standby_client(way.port, lookup_replica_patience_milliseconds=1)
        tokens, revoked = client.sign_up(), client.log_in()
        wait_for_standbys(client, 1)
        client.http.post("/logout", headers=revoked.headers)
        way.delay_seconds = 0.15
        late = batches(client, outcome="late")
        until(
            lambda: (
                [client.me(one).status_code for one in (tokens, revoked)] == [200, 401]
                and batches(client, outcome="late") >= late + 3
            )
        )
        way.delay_seconds = 0
        wait_for_standbys(client, 1)
        until_a_standby_answers(client, tokens, batches(client))


def test_of_two_standbys_the_one_that_is_left_answers(
    make_standby_client: MakeStandbyClient, standby: PostgreSQL, slow_standby: PostgreSQL
) -> None:
    with Relay(standby.port) as way:
        client = make_standby_client(way.port, slow_standby.port)
        tokens = client.sign_up()
        wait_for_standbys(client, 2)
        way.target_port = free_port()
        way.reset_connections()
        wait_for_standbys(client, 1)
        until_a_standby_answers(client, tokens, batches(client))
        way.target_port = standby.port
        wait_for_standbys(client, 2)


def test_the_primary_answers_when_the_last_standby_is_lost(
    make_standby_client: MakeStandbyClient, standby: PostgreSQL
) -> None:
    with Relay(standby.port) as way:
        client = make_standby_client(way.port)
        tokens = client.sign_up()
        wait_for_standbys(client, 1)
        way.target_port = free_port()
        way.reset_connections()
        assert client.me(tokens).status_code == 200


def test_after_a_promotion_neither_the_new_primary_nor_a_standby_of_the_old_is_asked(
    make_standby_client: MakeStandbyClient,
    primary: PostgreSQL,
    standby: PostgreSQL,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The position of the latter is beyond that of the new primary, in a log of another content."""
    with Relay(primary.port) as address, primary.launch_standby() as successor:
        client = make_standby_client(standby.port, successor.port, primary_port=address.port)
        revoked = [client.sign_up(), client.log_in(), client.log_in()]
        kept = client.log_in()
        wait_for_standbys(client, 2)
        until(lambda: has_replayed(primary, successor))
        successor.promote()
        run_sql(url_of(primary), "SELECT pg_switch_wal(); CHECKPOINT")
        until(lambda: has_replayed(primary, standby))
        address.target_port = successor.port
        address.reset_connections()
        until(lambda: client.me(kept).status_code == 200)
        seen = []
        for tokens in revoked:
            assert client.http.post("/logout", headers=tokens.headers).status_code == 204
            seen.append(client.me(tokens).status_code)
        assert seen == [401, 401, 401]
        # What a standby has become shows when it is asked, which takes a lookup for each.
        until(lambda: client.me(kept).status_code == 200 and gauge(client, "usable_standbys") == 0)
        until(lambda: "it is not a standby" in caplog.text)
        until(lambda: "it does not follow the primary" in caplog.text)


def test_a_server_of_another_cluster_is_not_asked(
    make_standby_client: MakeStandbyClient,
    service_url: str,
    primary: PostgreSQL,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has been restored from a dump, and the reign with it."""
    database = Database(DatabaseSettings(database_url=service_url))
    with database.transaction() as db:
        queries.reign.begin(db)
    database.close()
    ((nonce, timeline),) = run_sql(service_url, "SELECT nonce, timeline FROM reign")
    with PostgreSQL.launch() as other:
        migrations.upgrade(other.create_database("counterfoil"))
        role = str(make_url(service_url).username)
        run_sql(url_of(other), f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
        grant(url_of(other), role)
        run_sql(url_of(other), f"INSERT INTO reign VALUES (1, 1, '{nonce}', '{timeline}')")
        with other.launch_standby() as foreign:
            while not has_replayed(primary, foreign):
                run_sql(
                    url_of(other),
                    "SELECT pg_logical_emit_message(true, '', ''); SELECT pg_switch_wal()",
                )
                until(lambda: has_replayed(other, foreign))
            client = make_standby_client(foreign.port)
            tokens = client.sign_up()
            until(lambda: "does not follow the primary" in caplog.text)
            assert client.me(tokens).status_code == 200
            assert gauge(client, "usable_standbys") == 0


def test_an_application_with_the_library_asks_standbys(
    make_standby_client: MakeStandbyClient,
    service_url: str,
    standby: PostgreSQL,
) -> None:
    """By a role that can only read, once the service has begun the reign."""
    service = make_standby_client(standby.port)
    wait_for_standbys(service, 1)
    tokens, others = service.sign_up(), service.log_in()
    app = FastAPI()
    Counterfoil(app, database_url=service_url, standby_urls=[at(service_url, standby.port)])

    @app.get("/")
    async def read(identity: CurrentIdentity) -> int:
        return identity.user_id

    with TestClient(app) as client:
        lookups = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%wait_for_mark%EXECUTE%'"
        until(lambda: client.get("/", headers=others.headers).status_code == 200)
        service.http.post("/logout", headers=tokens.headers)
        assert client.get("/", headers=tokens.headers).status_code == 401
        until(
            lambda: (
                client.get("/", headers=others.headers).status_code == 200
                and run_sql(url_of(standby), lookups) != [(0,)]
            )
        )


@pytest.mark.parametrize("feedback", ["on", "off"])
def test_check_says_what_each_server_is(
    make_standby_client: MakeStandbyClient,
    database_url: str,
    primary: PostgreSQL,
    standby: PostgreSQL,
    feedback: str,
) -> None:
    wait_for_standbys(make_standby_client(standby.port), 1)
    standby.configure("hot_standby_feedback", feedback)
    nowhere = free_port()
    ports = (standby.port, primary.port, nowhere)
    urls = ",".join(at(database_url, port) for port in ports)
    environment = {"DATABASE_URL": database_url, "COUNTERFOIL_LOOKUP_DATABASE_URLS": urls}
    done = CliRunner(env=environment).invoke(cli, ["check"])
    assert done.exit_code == 0
    said = done.stderr.replace("127.0.0.1:", "")
    assert f"{primary.port}: primary, reign 1\n" in said
    assert re.search(rf"^{standby.port}: standby, reign 1, \d+ bytes behind$", said, re.MULTILINE)
    assert f"warning: {primary.port}: is not a standby, and answers no lookups\n" in said
    assert f"warning: {nowhere}: cannot be used: " in said
    warning = f"warning: {standby.port}: hot_standby_feedback is off, so lookups hold up its replay"
    assert (warning in said) == (feedback == "off")


@pytest.mark.parametrize(
    ("database_url", "standby", "reason"),
    [
        ("sqlite:///file.db", "postgresql://db/counterfoil", "SQLite has no standbys"),
        ("postgresql://db/counterfoil", "sqlite:///file.db", "must begin with postgresql://"),
        ("postgresql://db/counterfoil", "postgresql://a,b/counterfoil", "a URL of its own"),
        (
            "postgresql://db/counterfoil",
            "postgresql://b/counterfoil?target_session_attrs=primary",
            "must not demand a primary",
        ),
    ],
)
def test_standbys_that_cannot_be_are_rejected(database_url: str, standby: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        lookup.from_url(database_url, deadline_seconds=1, standby_urls=[standby])
    if "," not in standby:
        with pytest.raises(ValidationError, match=reason):
            DatabaseSettings(database_url=database_url, lookup_database_urls=(standby,))
