"""What else a role or a database has set changes neither a statement nor an answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from api import startup
from api.commands.cli import cli
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from database import migrations
from database.engine.session import Database
from database.settings import DatabaseSettings
from harness.pgbouncer import run_pgbouncer
from harness.postgresql import DatabaseServer
from tests.support.administrator import Sql, give_role, run_sql
from tests.support.client import Client, Tokens

MakeClient = Callable[..., Client]

# Each of these once changed what a statement means, how it is written, or what its answer says.
SETTINGS = [
    "standard_conforming_strings = off",
    "backslash_quote = off",
    "bytea_output = escape",
    "client_encoding = LATIN1",
    "DateStyle = 'German'",
    "default_transaction_deferrable = on",
    "default_transaction_isolation = serializable",
    "extra_float_digits = -15",
    "IntervalStyle = sql_standard",
    "quote_all_identifiers = on",
    "row_security = off",
    "search_path = elsewhere, public",
    "TimeZone = 'Pacific/Kiritimati'",
    "transform_null_equals = on",
]
NAME = "Zoë \\ O'Neil \\' ☃ %s"


@pytest.fixture
def hostile(
    request: pytest.FixtureRequest, database_url: str, sql: Sql
) -> Iterator[pytest.FixtureRequest]:
    """Whoever connects to the database from now on has this setting."""
    name = make_url(database_url).database
    sql("CREATE SCHEMA elsewhere")
    for table in ("live_access_tokens", "users", "sessions", "counterfoil_alembic_version"):
        sql(f"CREATE TABLE elsewhere.{table} AS SELECT * FROM {table} WHERE false")
    sql(f"ALTER DATABASE {name} SET {request.param}")
    yield request
    sql(f"ALTER DATABASE {name} RESET ALL")
    sql("DROP SCHEMA elsewhere CASCADE")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hostile", SETTINGS, indirect=True)
@pytest.mark.parametrize("prepared_statements", [True, False])
@pytest.mark.usefixtures("hostile")
def test_the_service_works_whatever_else_is_set(
    make_client: MakeClient, database_url: str, sql: Sql, prepared_statements: bool
) -> None:
    live_through(make_client(prepared_statements=prepared_statements), sql)
    checked = CliRunner(env={"DATABASE_URL": database_url}).invoke(cli, ["check"])
    assert checked.stdout == "ok\n"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hostile", SETTINGS, indirect=True)
@pytest.mark.usefixtures("hostile")
def test_the_service_works_behind_pgbouncer_whatever_else_is_set(
    make_client: MakeClient, database_url: str, sql: Sql
) -> None:
    with run_pgbouncer(database_url) as address:
        live_through(make_client(database_url=address, prepared_statements=False), sql)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_service_of_a_test_has_the_settings_of_its_database(
    make_app: Callable[..., FastAPI], database_url: str, sql: Sql
) -> None:
    """Services of tests share connections, which keep the settings that they began with."""
    name = make_url(database_url).database

    def setting() -> str:
        app = make_app()
        with TestClient(app) as http:
            assert http.portal is not None
            read = partial(app.state.service.database.run, read_setting)
            return str(http.portal.call(read))

    def read_setting(db: Session) -> object:
        return db.scalar(text("SHOW lock_timeout"))

    default = setting()
    sql(f"ALTER DATABASE {name} SET lock_timeout = '59s'")
    try:
        assert setting() == "59s"
    finally:
        sql(f"ALTER DATABASE {name} RESET ALL")
    assert setting() == default


def live_through(client: Client, sql: Sql) -> None:
    """A user's life, in text and times that a wrong setting would change."""
    before = time.time()
    tokens = client.sign_up(name=NAME)
    assert client.me(tokens).json()["name"] == NAME
    assert sql("SELECT octet_length(name) FROM public.users") == [(len(NAME.encode()),)]
    give_role(lambda statement: sql("SET search_path = public; " + statement), "admin")
    headers = client.log_in().headers
    found = client.http.get("/admin/users", params={"q": "o'neil \\"}, headers=headers)
    assert [user["name"] for user in found.json()["items"]] == [NAME]
    asked = client.http.post(
        "/introspect", data={"token": tokens.access_token}, headers=headers
    ).json()
    assert asked["exp"] - asked["iat"] == 3600
    assert before - 60 < asked["iat"] < time.time() + 60
    sessions = client.sessions(tokens)
    assert all(session["created_at"].endswith("Z") for session in sessions)
    assert len(sessions) == 2
    assert client.refresh(tokens.refresh_token).status_code == 200
    assert client.me(tokens).status_code == 401


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_statement_is_compiled_which_takes_longer_than_to_run_it(
    database_url: str, sql: Sql
) -> None:
    name = make_url(database_url).database
    sql(f"ALTER DATABASE {name} SET jit = on; ALTER DATABASE {name} SET jit_above_cost = 0")
    explain = "EXPLAIN (ANALYZE) SELECT count(*) FROM users WHERE lower(email) = 'ada'"
    try:
        plain = run_sql(database_url, explain)
        with (
            closing(Database(DatabaseSettings(database_url=database_url))) as database,
            database.transaction() as db,
        ):
            ours = db.execute(text(explain)).all()
    finally:
        sql(f"ALTER DATABASE {name} RESET ALL")
    assert "JIT:" in str(plain)
    assert "JIT:" not in str(ours)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_schema_that_the_address_names_is_the_one(
    make_client: MakeClient, database_url: str, sql: Sql
) -> None:
    address = make_url(database_url).update_query_dict({"options": "-c search_path=own"})
    url = address.render_as_string(hide_password=False)
    sql("CREATE SCHEMA own")
    try:
        migrations.upgrade(url)
        client = make_client(database_url=url)
        tokens = client.sign_up("own@example.org")
        assert client.me(tokens).status_code == 200
        assert sql("SELECT email FROM own.users") == [("own@example.org",)]
        assert sql("SELECT email FROM public.users") == []
        assert beside(url, tokens) == 200
        with run_pgbouncer(url) as pooled:
            assert make_client(database_url=pooled, prepared_statements=False).me(tokens).is_success
            assert beside(pooled, tokens, prepared_statements=False) == 200
            # What it has set is gone with its transaction, as others get the connection next.
            assert run_sql(pooled, "SHOW enable_seqscan") == [("on",)]
            assert run_sql(pooled, "SHOW search_path") != [("own, pg_temp",)]
        assert beside(database_url, tokens) == 401
        # The functions find their tables whatever the search_path of their caller is.
        assert sql(f"SELECT email FROM own.counterfoil_resolve('{tokens.access_token}')") == [
            ("own@example.org",)
        ]
        assert sql("SELECT own.prune_audit_events(now() - interval '40 days', 10)") == [(0,)]
    finally:
        sql("DROP SCHEMA own CASCADE")


def beside(url: str, tokens: Tokens, **options: Any) -> int:
    """The status of a protected route of an application that asks this database."""
    app = FastAPI()
    Counterfoil(app, database_url=url, **options)

    @app.get("/orders")
    async def orders(identity: CurrentIdentity) -> int:
        return identity.user_id

    with TestClient(app) as client:
        return client.get("/orders", headers=tokens.headers).status_code


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def other_encoding(
    request: pytest.FixtureRequest, postgresql: DatabaseServer, worker_id: str
) -> Iterator[str]:
    name = f"encoding_{worker_id}"
    postgresql.drop_database(name)
    yield postgresql.create_database(name, encoding=request.param)
    postgresql.drop_database(name)


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_a_database_that_is_not_utf8_is_rejected_in_one_line(
    other_encoding: str, command: str
) -> None:
    done = CliRunner(env={"DATABASE_URL": other_encoding}).invoke(cli, [command])
    assert done.exit_code == 1
    # The first names the database.
    assert done.stderr.count("\n") == 2
    assert "the encoding of the database is" in done.stderr
    assert "must be UTF8" in done.stderr


def test_the_service_does_not_start_on_a_database_that_is_not_utf8(other_encoding: str) -> None:
    with pytest.raises(startup.CannotStart, match="must be UTF8"):
        startup.prepare_database_now(DatabaseSettings(database_url=other_encoding))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_role_for_which_no_foreign_key_is_kept_is_rejected(database_url: str, sql: Sql) -> None:
    name = make_url(database_url).database
    sql(f"ALTER DATABASE {name} SET session_replication_role = replica")
    try:
        done = CliRunner(env={"DATABASE_URL": database_url}).invoke(cli, ["check"])
    finally:
        sql(f"ALTER DATABASE {name} RESET ALL")
    assert done.exit_code == 1
    assert "session_replication_role is replica" in done.stderr


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_our_settings_end_with_our_transaction(database_url: str) -> None:
    with closing(Database(DatabaseSettings(database_url=database_url))) as database:
        with database.transaction() as db:
            driver = db.connection().connection.driver_connection
        connection = database.engine.connect()
        with connection, connection.begin():
            assert connection.connection.driver_connection is driver
            found = connection.scalar(text("SHOW search_path"))
    assert found == '"$user", public'
