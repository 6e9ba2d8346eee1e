"""A primary that was replaced without noticing it is left, or not believed any more."""

import logging
import re
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from api.commands.cli import cli
from counterfoil import lookup
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from counterfoil.lookup.fencing import Asked, Fence
from counterfoil.lookup.reigns import Reigns
from database import migrations
from database.engine import standbys
from database.settings import DatabaseSettings
from faults.context import suspended
from harness.postgresql import PostgreSQL
from tests.support.administrator import run_sql
from tests.support.client import Client, Tokens
from tests.support.waiting import until

MakeClient = Callable[..., Client]

FENCING = 1.2
LONG = 50
SUCCESSOR = "successor"


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgreSQL]:
    with PostgreSQL.launch() as server:
        migrations.upgrade(server.create_database("counterfoil"))
        yield server


@pytest.fixture(scope="module")
def other(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    """A standby that goes on following the primary, but that commits do not wait for."""
    with primary.launch_standby() as server:
        yield server


@pytest.fixture
def standby(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    run_sql(url_of(primary), "DELETE FROM users")
    with primary.launch_standby({"cluster_name": SUCCESSOR}) as server:
        yield server
    primary.require_no_standby()


@pytest.fixture
def database_url(primary: PostgreSQL) -> str:
    return url_of(primary)


@pytest.fixture
def make_fenced_client(make_client: MakeClient) -> MakeClient:
    """A service at this server, which believes it only with proof."""

    def make(server: PostgreSQL, **settings: object) -> Client:
        chosen = {
            "database_url": url_of(server),
            "database_deadline_seconds": 2.5,
            "fencing_seconds": FENCING,
            "track_last_used": False,
            **settings,
        }
        return make_client(**chosen)

    return make


def url_of(server: PostgreSQL) -> str:
    return server.url("counterfoil")


def both(first: PostgreSQL, second: PostgreSQL) -> str:
    hosts = tuple(f"127.0.0.1:{one.port}" for one in (first, second))
    url = make_url(url_of(first)).set(host=None, port=None)
    return url.update_query_dict({"host": hosts}).render_as_string(hide_password=False)


def has_replayed(primary: PostgreSQL, standby: PostgreSQL) -> bool:
    ((position,),) = run_sql(url_of(primary), "SELECT pg_current_wal_insert_lsn()")
    return run_sql(url_of(standby), f"SELECT pg_last_wal_replay_lsn() >= '{position}'") == [(True,)]


def gauge(client: Client, name: str) -> float:
    lines = client.http.get("/metrics").text.splitlines()
    return next(float(one.split()[-1]) for one in lines if one.startswith(f"counterfoil_{name} "))


def log_out(client: Client, tokens: Tokens) -> int:
    return client.http.post("/logout", headers=tokens.headers).status_code


@pytest.mark.parametrize("has_standbys", [False, True])
def test_a_primary_that_was_replaced_is_not_believed(
    make_fenced_client: MakeClient,
    primary: PostgreSQL,
    standby: PostgreSQL,
    other: PostgreSQL,
    has_standbys: bool,
) -> None:
    primary.require_standby(SUCCESSOR)
    urls = url_of(other) if has_standbys else ""
    former = make_fenced_client(primary, lookup_database_urls=urls)
    tokens, kept = former.sign_up(), former.log_in()
    assert [former.me(one).status_code for one in (tokens, kept)] == [200, 200]
    standby.promote()
    successor = make_fenced_client(standby)
    until(lambda: log_out(successor, tokens) == 204)
    assert successor.me(kept).status_code == 200
    assert [former.me(one).status_code for one in (tokens, kept)] == [503, 503]
    assert former.http.get("/health/ready").status_code == 503


def test_a_new_primary_takes_writes_only_after_a_while(
    make_fenced_client: MakeClient, primary: PostgreSQL, standby: PostgreSQL
) -> None:
    tokens = make_fenced_client(primary).sign_up()
    until(lambda: has_replayed(primary, standby))
    standby.promote()
    successor = make_fenced_client(standby, fencing_seconds=LONG)
    assert run_sql(url_of(standby), "SELECT number FROM reign") == [(2,)]
    refused = successor.http.post("/logout", headers=tokens.headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    environment = {"DATABASE_URL": url_of(standby), "COUNTERFOIL_FENCING_SECONDS": str(LONG)}
    done = CliRunner(env=environment).invoke(cli, ["sessions", "revoke", "--all"])
    assert "takes no writes yet" in done.stderr
    run_sql(url_of(standby), f"UPDATE reign SET began_at = began_at - interval '{LONG} s'")
    done = CliRunner(env=environment).invoke(cli, ["sessions", "revoke", "--all"])
    assert (done.exit_code, done.stdout) == (0, "1\n")


def test_before_the_first_reign_a_command_can_write(primary: PostgreSQL) -> None:
    """So that there can be an administrator before the service has run."""
    run_sql(url_of(primary), "DELETE FROM reign")
    environment = {"DATABASE_URL": url_of(primary), "COUNTERFOIL_FENCING_SECONDS": str(LONG)}
    done = CliRunner(env=environment).invoke(cli, ["sessions", "revoke", "--all"])
    assert done.exit_code == 0


def test_a_primary_whose_standby_is_silent_is_believed_again_with_it(
    make_fenced_client: MakeClient,
    primary: PostgreSQL,
    standby: PostgreSQL,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client = make_fenced_client(primary, metrics="on")
    tokens = client.sign_up()
    primary.require_standby(SUCCESSOR)
    with suspended(standby):
        until(lambda: client.me(tokens).status_code == 503)
        assert gauge(client, "fenced_workers") == 1
        until(lambda: "no token is accepted" in caplog.text)
    until(lambda: client.me(tokens).status_code == 200)
    assert gauge(client, "fenced_workers") == 0
    until(lambda: "tokens are accepted again" in caplog.text)


def lookup_connections(server: PostgreSQL) -> int:
    """How many wait for the next lookup: what they did last is to be set up, or a lookup."""
    activity = "SELECT query FROM pg_stat_activity WHERE state = 'idle'"
    kinds = re.compile("plan_cache_mode|EXECUTE (mark|access_token)")
    return sum(bool(kinds.search(query)) for (query,) in run_sql(url_of(server), activity))


def test_of_two_hosts_the_one_of_a_lower_reign_is_left(
    make_client: MakeClient, primary: PostgreSQL, standby: PostgreSQL
) -> None:
    """It still takes writes, and is the first of the two."""
    settings = {"lookup_database_urls": url_of(standby), "track_last_used": False}
    settings |= {"lookup_connections": 4}
    client = make_client(database_url=both(primary, standby), **settings)
    tokens = client.sign_up()
    until(lambda: has_replayed(primary, standby))
    until(lambda: lookup_connections(primary) == 4)
    standby.promote()
    assert client.me(tokens).status_code == 200
    make_client(database_url=url_of(standby), fencing_seconds=FENCING)
    run_sql(url_of(standby), "DELETE FROM sessions")
    until(lambda: client.me(tokens).status_code == 401)
    # Trying the standby out, which has become the primary, would find them one by one in 15 s.
    until(lambda: lookup_connections(primary) == 0, seconds=8)
    client.register("bob@example.org")
    names = "SELECT count(*) FROM users WHERE email = 'bob@example.org'"
    assert run_sql(url_of(standby), names) == [(1,)]
    assert run_sql(url_of(primary), names) == [(0,)]


def test_a_standby_that_became_the_primary_shows_that_the_other_is_a_former_one(
    make_client: MakeClient,
    primary: PostgreSQL,
    standby: PostgreSQL,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = make_client(
        database_url=url_of(primary),
        lookup_database_urls=url_of(standby),
        database_deadline_seconds=1.5,
        track_last_used=False,
    )
    tokens = client.sign_up()
    until(lambda: has_replayed(primary, standby))
    standby.promote()
    make_client(database_url=url_of(standby), fencing_seconds=FENCING)
    until(lambda: client.me(tokens).status_code == 503)
    assert client.try_to_log_in().status_code == 503
    assert "there is a new primary, of reign 2" in caplog.text
    until(lambda: "the server is a former primary" in caplog.text)


def test_an_application_with_the_library_believes_the_primary_only_with_proof(
    make_fenced_client: MakeClient, primary: PostgreSQL, standby: PostgreSQL
) -> None:
    app = FastAPI()
    Counterfoil(app, database_url=url_of(primary), fencing_seconds=FENCING, deadline_seconds=1)

    @app.get("/")
    async def read(identity: CurrentIdentity) -> int:
        return identity.user_id

    tokens = make_fenced_client(primary).sign_up()
    with TestClient(app) as client:
        until(lambda: client.get("/", headers=tokens.headers).status_code == 200)
        primary.require_standby(SUCCESSOR)
        standby.promote()
        until(lambda: client.get("/", headers=tokens.headers).status_code == 503)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("", "commits wait for no standby"),
        ("*", "must name each server that may be promoted"),
        ("FIRST 1 (successor, other)", "must name each server that may be promoted"),
        ("ANY 1 (successor, other)", "must name each server that may be promoted"),
    ],
)
def test_check_warns_if_commits_prove_nothing(names: str, says: str) -> None:
    assert says in str(standbys.find_weakness(names))


@pytest.mark.parametrize(
    "names", ["successor", '"db2"', "FIRST 2 (a, b)", "2 (a, b)", 'ANY 2 ("a", b)', "FIRST 1 (a)"]
)
def test_check_does_not_warn_if_all_that_may_be_promoted_confirm(names: str) -> None:
    assert standbys.find_weakness(names) is None


def test_a_beat_proves_that_nobody_had_been_promoted_while_the_one_before_the_last_was_seen() -> (
    None
):
    fence = Fence(10)
    for moment, beat in enumerate([5, 5, 6, 6]):
        fence.observe("a", beat, asked_at=moment)
    assert not fence.covers(Asked(3, "a"))
    fence.observe("a", 7, asked_at=4)
    assert [fence.covers(Asked(at, "a")) for at in (4, 10.9, 11)] == [True, True, False]
    # Of another primary nothing is proven, and a beat that was seen too late shows nothing.
    assert not fence.covers(Asked(4, "b"))
    fence.observe("a", 6, asked_at=5)
    assert not fence.is_open(11)
    fence.observe("b", 8, asked_at=6)
    assert not fence.covers(Asked(6, "b"))


def test_hosts_that_are_former_primaries_are_left_out_unless_all_are() -> None:
    reigns = Reigns()
    given = {"host": "a,a,b", "hostaddr": "192.0.2.1,192.0.2.2,192.0.2.3", "port": "5432,5432,5433"}
    reigns.note_host(("a", "5432"), is_former=True)
    assert reigns.without_former(given) == {"host": "b", "hostaddr": "192.0.2.3", "port": "5433"}
    assert reigns.without_former({"host": "a,b"}) == {"host": "b", "port": "5432"}
    assert reigns.without_former({"host": "a", "dbname": "c"}) == {"host": "a", "dbname": "c"}
    reigns.note_host(("a", "5432"), is_former=False)
    assert reigns.without_former(given) == given


def test_sqlite_cannot_be_fenced() -> None:
    with pytest.raises(ValueError, match="SQLite has no standbys"):
        lookup.from_url("sqlite:///file.db", deadline_seconds=1, fencing_seconds=1)
    with pytest.raises(ValidationError, match="SQLite has no standbys"):
        DatabaseSettings(database_url="sqlite:///file.db", fencing_seconds=1)
