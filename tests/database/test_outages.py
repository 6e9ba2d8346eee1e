"""A PostgreSQL that is down, slow or silent costs a request its deadline and leaves no trace."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import psycopg2
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from counterfoil.errors import DatabaseUnavailable
from counterfoil.fastapi import CurrentIdentity
from database.engine.session import Database
from database.settings import DatabaseSettings
from harness.postgresql import PostgreSQL
from harness.relay import Relay
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.waiting import until

DEADLINE = 0.6

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
# Lookups are tried anew all the time.
WAITING_WRITES = (
    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND query LIKE 'INSERT%'"
)

MakeClient = Callable[..., Client]
MakeApp = Callable[..., FastAPI]


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    with Relay(make_url(database_url).port or 5432) as relay:
        yield relay


@pytest.fixture
def app(make_app: MakeApp, relay: Relay, database_url: str) -> FastAPI:
    """Reaches its database by way of the relay."""
    return make_app(database_url=relay.url(database_url), database_deadline_seconds=DEADLINE)


def pool_of(app: FastAPI) -> Engine:
    engine: Engine = app.state.service.database.engine
    return engine


def test_a_silent_database_is_unavailable_and_then_available_again(
    make_client: MakeClient, app: FastAPI, relay: Relay
) -> None:
    client = make_client(app)
    tokens = client.sign_up()
    relay.drops_data = True
    for answer in (client.me(tokens), client.try_to_log_in(), client.http.get("/health/ready")):
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
    assert client.http.get("/health/live").status_code == 200
    assert pool_of(app).pool.checkedout() == 0  # type: ignore[attr-defined]
    relay.drops_data = False
    until(lambda: client.me(tokens).status_code == 200)
    assert client.try_to_log_in().status_code == 200


def test_dead_connections_in_the_pool_fail_no_request(
    make_client: MakeClient, app: FastAPI, relay: Relay
) -> None:
    client = make_client(app)
    client.sign_up()
    relay.drop_existing_connections()
    assert client.try_to_log_in().status_code == 200


def test_lookup_connections_that_are_lost_while_idle_are_replaced(
    make_client: MakeClient, app: FastAPI, relay: Relay
) -> None:
    client = make_client(app)
    tokens = client.sign_up()
    lookup = app.state.service.resolver._lookup
    lost = set(lookup._open)
    relay.reset_connections()
    until(lambda: len(lookup._open) == len(lost) and not lost & lookup._open)
    assert set(lookup._free) == lookup._open
    assert client.me(tokens).status_code == 200


def test_what_is_lost_while_connecting_is_said_again_within_the_deadline(
    database_url: str, relay: Relay
) -> None:
    settings = DatabaseSettings(database_url=relay.url(database_url), database_deadline_seconds=3)
    relay.drops_data = True
    with closing(Database(settings)) as database, ThreadPoolExecutor() as threads:
        asked = threads.submit(asyncio.run, database.run(lambda db: db.scalar(text("SELECT 7"))))
        time.sleep(0.3)
        relay.drops_data = False
        assert asked.result() == 7


@pytest.mark.parametrize("with_token", [False, True])
def test_all_that_a_request_does_in_the_database_shares_one_deadline(
    make_client: MakeClient, make_app: MakeApp, database_url: str, relay: Relay, with_token: bool
) -> None:
    deadline = 2.0
    app = make_app(database_url=relay.url(database_url), database_deadline_seconds=deadline)

    async def sleep(times: int) -> None:
        statement = text(f"SELECT pg_sleep({0.55 * deadline})")
        for _ in range(times):
            await app.state.service.database.run(lambda db: db.execute(statement))

    app.get("/sleep")(sleep)

    @app.get("/sleep-for-a-caller")
    async def sleep_for_a_caller(identity: CurrentIdentity, times: int) -> None:
        await sleep(times)

    client = make_client(app)
    tokens = client.sign_up()

    def status(times: int) -> int:
        path = "/sleep-for-a-caller" if with_token else "/sleep"
        return client.http.get(f"{path}?times={times}", headers=tokens.headers).status_code

    # Each of the transactions alone is in time; and so would be the lookup before one.
    assert status(1) == 200
    assert status(2) == 503
    relay.delay_seconds = 0.25 * deadline
    assert client.me(tokens).status_code == 200
    assert status(1) == 503


def test_what_we_have_given_up_on_the_server_gives_up_too(
    make_client: MakeClient, make_app: MakeApp, database_url: str, sql: Sql
) -> None:
    app = make_app(database_deadline_seconds=1.5)
    client = make_client(app)
    tokens = client.sign_up()
    kept = pool_of(app).pool.checkedin()  # type: ignore[attr-defined]
    with closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        assert client.try_to_log_in().status_code == 503
        assert client.me(tokens).status_code == 503
        until(lambda: not sql(WAITING_WRITES))
    assert pool_of(app).pool.checkedin() == kept  # type: ignore[attr-defined]


def test_a_name_that_is_not_resolved_holds_up_nobody(
    make_client: MakeClient,
    make_app: MakeApp,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_name = make_url(database_url).set(host="localhost")
    app = make_app(
        database_url=by_name.render_as_string(hide_password=False),
        database_deadline_seconds=DEADLINE,
    )
    client = make_client(app)
    tokens = client.sign_up()
    answering, ask = Event(), socket.getaddrinfo

    def never_answer(*args: object, **options: object) -> object:
        answering.wait()
        return ask(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", never_answer)
    pool_of(app).dispose()
    try:
        assert client.try_to_log_in().status_code == 503
        assert client.http.get("/health/live").status_code == 200
        assert client.me(tokens).status_code == 200
    finally:
        answering.set()


def test_a_commit_whose_answer_was_lost_is_not_called_a_success(
    make_client: MakeClient, make_app: MakeApp, relay: Relay, database_url: str
) -> None:
    # Otherwise the lost COMMIT could be that of a deferred write.
    deferred = {"track_last_used": False, "audit_refused_tokens": False}
    app = make_app(database_url=relay.url(database_url), **deferred)
    client = make_client(app)
    tokens = client.sign_up()
    relay.commit_responses_to_lose = 1
    assert client.http.post("/logout", headers=tokens.headers).status_code == 503
    assert client.me(tokens).status_code == 401


def test_a_transaction_that_is_cancelled_is_over_before_its_caller_goes_on(
    database_url: str,
) -> None:
    async def cancel_in_the_middle() -> int:
        database = Database(DatabaseSettings(database_url=database_url))
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(db: object) -> None:
            db.execute(text("SELECT 1"))  # type: ignore[attr-defined]
            loop.call_soon_threadsafe(begun.set)
            db.execute(text("SELECT pg_sleep(0.2)"))  # type: ignore[attr-defined]

        task = asyncio.create_task(database.run(work))
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        out: int = database.engine.pool.checkedout()  # type: ignore[attr-defined]
        database.close()
        return out

    assert asyncio.run(cancel_in_the_middle()) == 0


def test_every_write_waits_for_the_disk_whatever_the_server_prefers(
    client: Client, database_url: str, sql: Sql
) -> None:
    database = Database(DatabaseSettings(database_url=database_url))
    name = make_url(database_url).database
    sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        with database.transaction() as db:
            assert db.scalar(text("SHOW synchronous_commit")) == "on"
    finally:
        sql(f"ALTER DATABASE {name} RESET synchronous_commit")
        database.close()


def test_a_service_that_starts_before_its_database_answers_as_soon_as_it_is_there(
    make_client: MakeClient, make_app: MakeApp, database_url: str
) -> None:
    with PostgreSQL.launch() as server:
        url = server.create_database("counterfoil")
        server.stop()
        app = make_app(
            database_url=url,
            database_deadline_seconds=DEADLINE,
            migrate_on_start=True,
            start_without_database=True,
        )
        client = make_client(app)
        assert client.http.get("/health/live").status_code == 200
        assert client.http.get("/health/ready").status_code == 503
        server.start()
        until(lambda: client.http.get("/health/ready").status_code == 200)
        until(lambda: client.register().status_code == 201)
        assert client.me(client.log_in()).status_code == 200


def test_a_connection_that_cannot_be_made_is_an_outage(database_url: str) -> None:
    nowhere = make_url(database_url).set(port=1).render_as_string(hide_password=False)
    database = Database(DatabaseSettings(database_url=nowhere))
    with pytest.raises(DatabaseUnavailable), database.transaction() as db:
        db.connection()
