"""Two PostgreSQL roles: the owner migrates, and the other one serves and can do no more."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from fastapi import FastAPI
from psycopg2.errors import InsufficientPrivilege
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from api.commands.cli import cli
from database import grants, migrations
from harness.postgresql import PostgreSQL, find_binaries
from harness.programs import require_program
from harness.server import REPOSITORY
from tests.support import documentation
from tests.support.administrator import give_role, run_sql
from tests.support.client import Client
from tests.support.console import ConsoleClient

FORBIDDEN = [
    "UPDATE audit_events SET actor = 'user:1'",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "SELECT * FROM audit_events FOR UPDATE",
    "INSERT INTO audit_events (at, event, actor) VALUES ('2000-01-01', 'login.failed', 'user:1')",
    "INSERT INTO audit_events (id, event, actor) VALUES (-1, 'login.failed', 'user:1')",
    "SELECT setval('audit_events_id_seq', 1)",
    "UPDATE roles SET scopes = 'admin'",
    "INSERT INTO roles (name, scopes) VALUES ('king', 'admin')",
    "DELETE FROM roles",
    "UPDATE counterfoil_alembic_version SET version_num = '0001_users'",
    "CREATE TABLE spare (id integer)",
    "CREATE TEMPORARY TABLE audit_events (id integer)",
    "CREATE VIEW spare AS SELECT 1",
    "CREATE FUNCTION spare() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA spare",
    "CREATE ROLE spare",
    "ALTER TABLE sessions ADD COLUMN spare integer",
    "ALTER TABLE users DISABLE TRIGGER ALL",
    "DROP TABLE audit_events",
    "DROP VIEW live_access_tokens",
    "CREATE OR REPLACE VIEW live_sessions AS SELECT 1",
    "TRUNCATE sessions",
    "CREATE INDEX ON audit_events (id)",
    "CREATE RULE spare AS ON INSERT TO audit_events DO INSTEAD NOTHING",
    "ALTER FUNCTION prune_audit_events OWNER TO CURRENT_USER",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SET session_replication_role = replica",
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """Roles belong to the whole server, so it is one that other tests do not use."""
    with PostgreSQL.launch() as server:
        passwords = {"OWNER_PASSWORD": "owner's", "SERVICE_PASSWORD": "service's"}
        script = REPOSITORY / "deploy" / "roles.sql"
        command = [psql(), server.url("postgres"), "-X", "-q", "-f", str(script)]
        subprocess.run(command, env={**os.environ, **passwords}, check=True)
        yield server


@pytest.fixture(scope="module")
def owner(server: PostgreSQL) -> str:
    """The URL for the role that owns the database, once it has migrated and granted."""
    url = as_role(server, "counterfoil_owner", "owner's")
    done = run(url, "migrate", "--grant-to", "counterfoil")
    assert done.exit_code == 0, done.stderr
    assert "The role counterfoil can serve." in done.stderr
    return url


@pytest.fixture
def service(server: PostgreSQL, owner: str) -> Iterator[str]:
    """The URL for the role that serves."""
    yield as_role(server, "counterfoil", "service's")
    run_sql(owner, "DELETE FROM users; DELETE FROM audit_events")


@pytest.fixture
def database_url(service: str) -> str:
    """What an application of these tests is made with, in place of the shared databases."""
    return service


@pytest.fixture
def service_url(service: str) -> str:
    return service


def as_role(server: PostgreSQL, role: str, password: str) -> str:
    url = make_url(server.url("counterfoil")).set(username=role, password=password)
    return url.render_as_string(hide_password=False)


def run(url: str, *command: str) -> Result:
    return CliRunner(env={"DATABASE_URL": url}).invoke(cli, command)


def psql() -> str:
    beside_server = find_binaries() / "psql"
    return str(beside_server) if beside_server.exists() else require_program("psql")


def test_the_role_that_serves_serves(
    owner: str, service: str, make_app: Callable[..., FastAPI]
) -> None:
    """The other tests of the service run as such a role too: see `service_url`."""
    assert run(service, "check").stdout == "ok\n"
    console = ConsoleClient(make_app())
    with console.http:
        client = Client(console.http)
        tokens = client.sign_up()
        assert client.me(tokens).status_code == 200
        give_role(lambda statement: run_sql(owner, statement), "admin")
        other = client.register("other@example.org").json()["id"]
        path, roles = f"/admin/users/{other}", {"roles": ["moderator"]}
        changed = client.http.patch(path, json=roles, headers=client.log_in().headers)
        assert changed.json()["roles"] == ["moderator"]
        assert console.sign_in().status_code == 200
        assert console.open(f"/users/{other}").status_code == 200
    event = "SELECT event FROM audit_events WHERE event = 'user.roles_changed'"
    assert run_sql(owner, event) == [("user.roles_changed",)]


def test_the_roles_of_users_are_changed_by_the_owner_or_by_a_role_that_may(
    owner: str, service: str
) -> None:
    commands = [
        ("roles", "create", "support", "--scope", "orders:read"),
        ("roles", "change", "support", "--scope", "orders:write"),
        ("roles", "delete", "support", "--yes"),
    ]

    def try_all(url: str) -> list[int]:
        return [run(url, *command).exit_code for command in commands]

    assert try_all(service) == [1, 1, 1]
    assert "--manage-roles" in run(service, *commands[0]).stderr
    assert try_all(owner) == [0, 0, 0]
    assert run(owner, "migrate", "--grant-to", "counterfoil", "--manage-roles").exit_code == 0
    assert try_all(service) == [0, 0, 0]
    assert run(owner, "migrate", "--grant-to", "counterfoil").exit_code == 0
    assert try_all(service) == [1, 1, 1]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_role_that_serves_can_do_no_more(service: str, statement: str) -> None:
    with (
        closing(psycopg2.connect(service)) as connection,
        connection.cursor() as cursor,
        pytest.raises(InsufficientPrivilege),
    ):
        cursor.execute(statement)


def test_the_role_that_serves_prunes_no_event_of_the_last_month(owner: str, service: str) -> None:
    for days in (10, 29, 31, 100):
        run_sql(
            owner,
            "INSERT INTO audit_events (at, event, actor)"
            f" VALUES (now() - interval '{days} days', 'login.failed', 'anonymous')",
        )
    done = run(service, "prune", "--audit-keep-days", "1")
    assert "audit_events\t2" in done.stdout, done.stderr
    assert run_sql(owner, "SELECT count(*) FROM audit_events") == [(2,)]
    assert run_sql(service, "SELECT prune_audit_events(now(), 1000)") == [(0,)]
    done = run(owner, "prune", "--audit-keep-days", "1")
    assert "audit_events\t2" in done.stdout, done.stderr
    assert run_sql(owner, "SELECT count(*) FROM audit_events") == [(0,)]


def test_only_roles_that_were_granted_it_may_prune_the_audit_log(owner: str) -> None:
    assert run_sql(
        owner,
        "SELECT has_function_privilege('public', oid, 'EXECUTE')"
        " FROM pg_proc WHERE proname = 'prune_audit_events'",
    ) == [(False,)]


def test_a_temporary_table_of_the_caller_is_not_taken_for_the_audit_log(
    server: PostgreSQL, service: str
) -> None:
    admin = server.url("counterfoil")
    run_sql(admin, "GRANT TEMPORARY ON DATABASE counterfoil TO counterfoil")
    try:
        pruned = run_sql(
            service,
            "CREATE TEMPORARY TABLE audit_events (id bigint, at timestamptz);"
            "INSERT INTO pg_temp.audit_events VALUES (1, '2000-01-01');"
            "SELECT prune_audit_events(now(), 10)",
        )
    finally:
        run_sql(admin, "REVOKE TEMPORARY ON DATABASE counterfoil FROM counterfoil")
    assert pruned == [(0,)]


def test_other_rights_that_the_role_has_on_the_tables_are_revoked(owner: str, service: str) -> None:
    run_sql(owner, "GRANT ALL ON audit_events, roles TO counterfoil")
    run_sql(owner, "GRANT UPDATE (at) ON audit_events TO counterfoil")
    assert run(owner, "migrate", "--grant-to", "counterfoil").exit_code == 0
    for statement in ("DELETE FROM audit_events", "UPDATE audit_events SET at = now()"):
        with pytest.raises(InsufficientPrivilege):
            run_sql(service, statement)


def test_the_page_has_the_statements_that_are_executed() -> None:
    assert shown_on("postgresql.md", "GRANT ") == [*grants.statements("counterfoil")]
    assert shown_on("resolve-by-sql.md", "GRANT ") == [*grants.resolver_statements("orders")]


def shown_on(page: str, beginning: str) -> list[str]:
    """The statements of the block for PostgreSQL on a page that begins so."""
    text = (REPOSITORY / "docs" / "how-to" / page).read_text()
    pattern = rf"^-- PostgreSQL\n({beginning}.*?)^```"
    (block,) = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    return [" ".join(statement.split()) for statement in block.split(";")[:-1]]


@pytest.fixture(scope="module")
def reader(server: PostgreSQL, owner: str) -> str:
    """The URL for the role that judges tokens by SQL, as its page makes it."""
    for statement in shown_on("resolve-by-sql.md", "CREATE ROLE"):
        run_sql(server.url("postgres"), statement)
    done = run(owner, "migrate", "--grant-resolve-to", "orders")
    assert done.exit_code == 0, done.stderr
    assert "The role orders can judge tokens." in done.stderr
    return as_role(server, "orders", "secret")


def test_the_role_that_judges_tokens_can_call_the_functions(
    reader: str, service: str, owner: str, make_app: Callable[..., FastAPI]
) -> None:
    query = "SELECT user_id, scopes FROM counterfoil_resolve(%s)"
    by_digest = "SELECT user_id, scopes FROM counterfoil_resolve_digests(ARRAY[sha256(%s)])"
    console = ConsoleClient(make_app())
    with console.http:
        token = Client(console.http).sign_up().access_token
    ((user_id,),) = run_sql(owner, "SELECT id FROM users")
    assert run_sql(reader, query, (token,)) == [(user_id, ["account"])]
    assert run_sql(reader, by_digest, (token.encode(),)) == [(user_id, ["account"])]
    run_sql(owner, "UPDATE users SET session_epoch = session_epoch + 1")
    assert run_sql(reader, query, (token,)) == []


RELATIONS = [
    *("access_tokens", "api_keys", "refresh_tokens", "sessions", "users", "user_roles", "roles"),
    *(
        "audit_events",
        "counterfoil_alembic_version",
        "throttle_counters",
        "known_addresses",
        "released_names",
    ),
    *("live_credentials", "live_access_tokens", "live_api_keys", "live_sessions"),
]


@pytest.mark.parametrize(
    "statement",
    [
        *(f"SELECT * FROM {relation}" for relation in RELATIONS),
        *FORBIDDEN,
        "UPDATE users SET session_epoch = 0",
        "SELECT prune_audit_events(now(), 1)",
    ],
)
def test_the_role_that_judges_tokens_can_do_no_more(reader: str, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        run_sql(reader, statement)


def test_the_role_that_judges_tokens_cannot_put_tables_of_its_own_in_place_of_ours(
    server: PostgreSQL, reader: str, service: str
) -> None:
    admin = server.url("counterfoil")
    run_sql(admin, "GRANT TEMPORARY ON DATABASE counterfoil TO orders")
    run_sql(admin, "CREATE SCHEMA of_orders AUTHORIZATION orders")
    try:
        for kind, schema in ("TEMPORARY", "pg_temp"), ("", "of_orders"):
            found = run_sql(
                reader,
                f"CREATE {kind} TABLE {schema}.live_credentials AS"
                " SELECT sha256('x') AS digest, 1 AS user_id;"
                f"SET search_path = {schema}, public;"
                "SELECT user_id FROM public.counterfoil_resolve_digests(ARRAY[sha256('x')])",
            )
            assert found == []
    finally:
        run_sql(admin, "DROP SCHEMA of_orders CASCADE")
        run_sql(admin, "REVOKE TEMPORARY ON DATABASE counterfoil FROM orders")


def test_only_roles_that_were_granted_it_may_judge_tokens(owner: str, service: str) -> None:
    for function in ("counterfoil_resolve(text)", "counterfoil_resolve_digests(bytea[])"):
        allowed = f"SELECT has_function_privilege('public', '{function}', 'EXECUTE')"
        assert run_sql(owner, allowed) == [(False,)]


def test_the_role_that_judges_tokens_still_can_after_the_functions_are_replaced(
    owner: str, reader: str
) -> None:
    """A later migration appends a column to the view, as the first one says that it may."""
    ((view,),) = run_sql(owner, "SELECT pg_get_viewdef('live_credentials')")
    ((function,),) = run_sql(
        owner, "SELECT pg_get_functiondef('counterfoil_resolve_digests'::regproc)"
    )
    ((token,),) = run_sql(owner, "SELECT pg_get_functiondef('counterfoil_resolve'::regproc)")
    wider = view.rstrip().rstrip(";")
    run_sql(
        owner,
        "CREATE OR REPLACE VIEW live_credentials AS"
        f" SELECT found.*, 1 AS more FROM ({wider}) found; {function}; {token}",
    )
    try:
        query = "SELECT more FROM counterfoil_resolve('cfa_')"
        assert run_sql(reader, query) == []
    finally:
        # No column can be taken from a view that functions return.
        names = "counterfoil_resolve, counterfoil_resolve_digests"
        made_again = f"CREATE VIEW live_credentials AS {view}; {function}; {token}"
        revoked = f"REVOKE ALL ON FUNCTION {names} FROM PUBLIC"
        run_sql(owner, f"DROP VIEW live_credentials CASCADE; {made_again}; {revoked}")
        for command in ("--grant-to", "counterfoil"), ("--grant-resolve-to", "orders"):
            assert run(owner, "migrate", *command).exit_code == 0


def test_a_backup_is_restored_with_its_users_and_the_rights_of_both_roles(
    server: PostgreSQL,
    owner: str,
    service: str,
    make_app: Callable[..., FastAPI],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the commands of docs/how-to/deployment.md."""
    monkeypatch.chdir(tmp_path)
    programs = f"{find_binaries()}:{os.environ['PATH']}"
    urls = {
        "postgresql://counterfoil_owner:...@host/counterfoil": owner,
        "postgresql://postgres@host/postgres": server.url("postgres"),
    }
    page = documentation.section(REPOSITORY / "docs" / "how-to" / "deployment.md", "Backups")
    for shown, url in urls.items():
        page = page.replace(shown, f'"{url}"')
    [dump] = re.findall(r"^\(umask 077; pg_dump .*$", page, re.MULTILINE)
    [restore] = re.findall(r"^pg_restore .*$", page, re.MULTILINE)

    def type_in(command: str) -> None:
        subprocess.run(command, shell=True, env={"PATH": programs}, check=True)

    console = ConsoleClient(make_app())
    with console.http:
        client = Client(console.http)
        tokens = client.sign_up()
        type_in(dump)
        client.http.post("/logout", headers=tokens.headers)
        server.drop_database("counterfoil")
        type_in(restore)
        assert run(service, "check").stdout == "ok\n"
        assert run(service, "sessions", "revoke", "--all").stdout == "1\n"
        assert client.me(tokens).status_code == 401
        assert client.me(client.log_in()).status_code == 200
    with pytest.raises(InsufficientPrivilege):
        run_sql(service, "DELETE FROM audit_events")
    allowed = "SELECT has_database_privilege('public', 'counterfoil', 'CONNECT')"
    assert run_sql(owner, allowed) == [(False,)]


def test_a_role_that_does_not_exist_is_an_error_of_one_line(owner: str) -> None:
    done = run(owner, "migrate", "--grant-to", "nobody; DROP TABLE users")
    assert done.exit_code == 1
    assert 'role "nobody; DROP TABLE users" does not exist' in done.stderr.splitlines()[-1]


def test_check_warns_of_a_role_that_can_alter_the_audit_log(owner: str, service: str) -> None:
    warned = ["can alter the audit log" in run(url, "check").stderr for url in (owner, service)]
    assert warned == [True, False]


def test_the_role_that_serves_cannot_migrate(owner: str, service: str) -> None:
    migrations.downgrade(owner, "-1")
    try:
        done = run(service, "migrate")
        assert (done.exit_code, done.stderr.count("\n")) == (1, 2)
    finally:
        assert run(owner, "migrate", "--grant-to", "counterfoil").exit_code == 0


def test_sqlite_has_no_roles(sqlite_template: Path) -> None:
    done = run(f"sqlite:///{sqlite_template}", "migrate", "--grant-to", "counterfoil")
    assert done.exit_code == 1
    assert "SQLite has no roles" in done.stderr


def test_both_roles_in_the_database_of_an_application(server: PostgreSQL) -> None:
    page = REPOSITORY / "docs" / "how-to" / "beside-your-models.md"
    statements = [
        re.sub(r"\bcounterfoil(_owner)?\b", r"beside\1", one)
        for one in documentation.statements(page, "Database roles", "postgresql")
    ]
    by_administrator, by_owner = statements[:4], statements[4:]
    server.create_database("shop")
    create = "CREATE ROLE shop LOGIN PASSWORD 'shop'; GRANT CREATE ON SCHEMA public TO shop"
    run_sql(server.url("shop"), create)

    def url(role: str, password: str) -> str:
        own = make_url(server.url("shop")).set(username=role, password=password)
        return own.render_as_string(hide_password=False)

    run_sql(server.url("shop"), "; ".join(by_administrator[:-1]))
    refused = run(url("beside_owner", "secret"), "migrate")
    assert refused.exit_code == 1
    assert "cannot be migrated: permission denied for schema public" in refused.stderr

    run_sql(server.url("shop"), by_administrator[-1])
    done = run(url("beside_owner", "secret"), "migrate", "--grant-to", "beside")
    assert done.exit_code == 0, done.stderr
    run_sql(url("beside_owner", "secret"), "; ".join(by_owner))
    assert run(url("beside", "other"), "check").stdout == "ok\n"

    run_sql(url("shop", "shop"), "CREATE TABLE orders (user_id integer REFERENCES users)")
    with pytest.raises(InsufficientPrivilege):
        run_sql(url("shop", "shop"), "SELECT email FROM users")
