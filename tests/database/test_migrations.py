"""Migrations: up and down with rows in place, in step with the models, one process at a time."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from database import migrations, revisions
from database.base import NAMING_CONVENTION
from database.settings import parse_url
from harness.server import REPOSITORY
from tests.support.administrator import Sql, count, insert_user, run_sql, user_id
from tests.support.client import Client

# SQLite's reflection cannot read an index on an expression, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression")

TABLES = [
    *("users", "roles", "user_roles", "sessions", "access_tokens", "refresh_tokens", "api_keys"),
    "audit_events",
]
# Forked once everything is imported, so that they really do begin at once.
MIGRATE_SIX_TIMES = """
import os, sys
from database import migrations
children = []
for _ in range(6):
    if (child := os.fork()) == 0:
        migrations.upgrade(sys.argv[1])
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.fixture
def inspect(database_url: str) -> Iterator[sa.Inspector]:
    engine = sa.create_engine(parse_url(database_url))
    with engine.connect() as connection:
        yield sa.inspect(connection)
    engine.dispose()


def table_names(url: str) -> set[str]:
    engine = sa.create_engine(parse_url(url), poolclass=sa.NullPool)
    return set(sa.inspect(engine).get_table_names())


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression")
def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    migrations.check(database_url)


def test_every_table_is_dropped_and_created_again(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    assert set(TABLES) < table_names(empty_url)
    migrations.downgrade(empty_url, "base")
    assert table_names(empty_url) == {"counterfoil_alembic_version"}
    migrations.upgrade(empty_url)
    assert revisions.is_current(empty_url)


def test_users_survive_the_way_down_to_their_table_and_up_again(
    client: Client, sql: Sql, database_url: str, upgrade: Callable[[], None]
) -> None:
    client.sign_up()
    before = sql("SELECT id, email, hashed_password FROM users")
    try:
        migrations.downgrade(database_url, "0001_users")
        assert not revisions.is_current(database_url)
    finally:
        upgrade()
    assert sql("SELECT id, email, hashed_password FROM users") == before
    assert client.me(client.log_in()).status_code == 200


def test_sessions_survive_the_way_down_to_their_tables_and_up_again(
    client: Client, sql: Sql, database_url: str, upgrade: Callable[[], None]
) -> None:
    tokens = client.sign_up()
    try:
        migrations.downgrade(database_url, "0002_sessions_and_tokens")
    finally:
        upgrade()
    assert client.me(tokens).status_code == 200
    assert client.refresh(tokens.refresh_token).status_code == 200


def test_migrating_twice_changes_nothing(client: Client, database_url: str) -> None:
    tokens = client.sign_up()
    migrations.upgrade(database_url)
    assert client.me(tokens).status_code == 200


def test_six_processes_that_migrate_at_once_do_not_collide(empty_url: str) -> None:
    command = [sys.executable, "-c", MIGRATE_SIX_TIMES, empty_url]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert revisions.is_current(empty_url)


def test_a_password_that_needs_escaping_does_not_confuse_alembic(
    postgresql_url: str, worker_id: str
) -> None:
    role = f"percent_{worker_id}"
    run_sql(postgresql_url, f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '50%@/:'")
    try:
        url = sa.make_url(postgresql_url).set(username=role, password="50%@/:")
        migrations.upgrade(url.render_as_string(hide_password=False))
    finally:
        run_sql(postgresql_url, f"DROP ROLE {role}")


def primary_key(inspect: sa.Inspector, table: str) -> list[Any]:
    """SQLite has no place for a name where the key is AUTOINCREMENT."""
    nameless = inspect.dialect.name == "sqlite" and table == "users"
    return [] if nameless else [inspect.get_pk_constraint(table)]


def foreign_keys(inspect: sa.Inspector, table: str) -> list[Any]:
    """Without the one that SQLite was given with its column, whose name and rule are not read."""
    found = inspect.get_foreign_keys(table)
    is_sqlite = inspect.dialect.name == "sqlite"
    return [key for key in found if not (is_sqlite and key["referred_table"] == "oauth_clients")]


def test_every_constraint_and_index_has_a_name_by_the_convention(inspect: sa.Inspector) -> None:
    prefixes = tuple(f"{kind}_" for kind in NAMING_CONVENTION)
    for table in TABLES:
        named = [
            *primary_key(inspect, table),
            *foreign_keys(inspect, table),
            *inspect.get_unique_constraints(table),
            *inspect.get_check_constraints(table),
        ]
        names = [str(one["name"]) for one in named]
        assert all(name.startswith(prefixes) and table in name for name in names), names


def test_every_foreign_key_cascades_and_has_an_index(inspect: sa.Inspector) -> None:
    for table in TABLES:
        indexed = [index["column_names"][0] for index in inspect.get_indexes(table)]
        indexed += inspect.get_pk_constraint(table)["constrained_columns"][:1]
        for key in foreign_keys(inspect, table):
            assert key["options"]["ondelete"] == "CASCADE"
            assert key["constrained_columns"][0] in indexed, key["name"]


def test_deleting_a_client_takes_its_sessions_along(client: Client, sql: Sql) -> None:
    client.sign_up()
    client.sign_up("other@example.org")
    sql("INSERT INTO oauth_clients (id, name, grants) VALUES ('calendar', 'Calendar', '')")
    mine = f"user_id = {user_id(sql)}"
    sql(f"UPDATE sessions SET oauth_client_id = 'calendar' WHERE {mine}")

    sql("DELETE FROM oauth_clients WHERE id = 'calendar'")

    assert sql(f"SELECT count(*) FROM sessions WHERE {mine}") == [(0,)]
    assert count(sql, "sessions") == 1


def test_deleting_a_user_takes_everything_but_the_audit_log_along(client: Client, sql: Sql) -> None:
    client.sign_up()
    client.sign_up("other@example.org")
    mine = user_id(sql)
    others = {table: count(sql, table) for table in ("sessions", "access_tokens", "refresh_tokens")}
    events = count(sql, "audit_events")

    sql(f"DELETE FROM users WHERE id = {mine}")

    for table, rows in others.items():
        assert count(sql, table) == rows - 1
    assert sql(f"SELECT count(*) FROM user_roles WHERE user_id = {mine}") == [(0,)]
    assert count(sql, "audit_events") == events


def test_the_service_keeps_foreign_keys_on_in_sqlite_too(client: Client) -> None:
    database = client.http.app.state.service.database  # type: ignore[attr-defined]
    statement = "INSERT INTO user_roles (user_id, role_id) VALUES (987654, 1)"
    with pytest.raises(sa.exc.IntegrityError), database.transaction() as db:
        db.execute(sa.text(statement))


@pytest.mark.parametrize("email", ["root@example.org", "ROOT@Example.ORG"])
def test_a_user_inserted_by_sql_logs_in_and_the_hash_is_upgraded(
    client: Client, sql: Sql, email: str
) -> None:
    insert_user(sql, email)
    tokens = client.log_in("root@example.org")
    assert client.me(tokens).json()["roles"] == []
    assert sql("SELECT hashed_password FROM users")[0][0].startswith("$bcrypt-sha256$")
    client.log_in("Root@example.org")


def test_one_address_cannot_be_inserted_twice_in_different_case(client: Client, sql: Sql) -> None:
    insert_user(sql, "root@example.org")
    with pytest.raises(Exception, match=r"(?i)unique"):
        insert_user(sql, "Root@Example.org")
    assert client.register("ROOT@example.org").json()["code"] == "email_taken"


def test_a_token_digest_that_is_no_sha256_is_rejected(client: Client, sql: Sql) -> None:
    client.sign_up()
    with pytest.raises(Exception, match="token_digest_is_sha256"):
        sql("UPDATE access_tokens SET token_digest = 'plain text'")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_id_of_a_deleted_user_is_never_reused(client: Client, sql: Sql) -> None:
    """Or the audit log's "user:7" would be two people, and a row left behind be inherited."""
    client.register()
    deleted = user_id(sql)
    sql(f"DELETE FROM users WHERE id = {deleted}")
    client.register("next@example.org")
    assert user_id(sql, "next@example.org") != deleted


@pytest.fixture
def sqlite_at(tmp_path: Path) -> Callable[[str], str]:
    """A SQLite file that stands at a revision."""

    def make(revision: str) -> str:
        url = f"sqlite:///{tmp_path / 'old.db'}"
        migrations.upgrade(url, revision)
        return url

    return make


def test_a_sqlite_migration_that_leaves_orphans_is_undone(
    sqlite_at: Callable[[str], str],
) -> None:
    url = sqlite_at("0002_sessions_and_tokens")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
        file.execute("INSERT INTO user_roles (user_id, role_id) VALUES (987654, 1)")
    with pytest.raises(RuntimeError, match="1 rows that refer to none"):
        migrations.upgrade(url)
    assert "api_keys" not in table_names(url)
