"""The version table is our own: taken over from its former name, and beside an application's."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from api.commands.cli import cli
from database import migrations, revisions, version_table
from database.errors import UnsuitableDatabase
from harness.server import REPOSITORY
from tests.database.test_migrations import MIGRATE_SIX_TIMES, table_names
from tests.support.administrator import insert_user, run_sql

FORMER = "alembic_version"


@pytest.fixture
def former_url(empty_url: str) -> str:
    """A database as the migration before left it, with a user."""
    migrations.upgrade(empty_url, "0018_prune_large_tables")
    run_sql(empty_url, f"CREATE TABLE {FORMER} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    run_sql(empty_url, f"INSERT INTO {FORMER} SELECT version_num FROM {version_table.NAME}")
    run_sql(empty_url, f"DROP TABLE {version_table.NAME}")
    insert_user(lambda statement: run_sql(empty_url, statement), "ada@example.org")
    return empty_url


def users(url: str) -> list[tuple[object, ...]]:
    return run_sql(url, "SELECT email FROM users")


def test_the_table_of_the_former_name_is_taken_over(former_url: str) -> None:
    assert not revisions.is_current(former_url)
    migrations.upgrade(former_url)
    assert revisions.is_current(former_url)
    assert FORMER not in table_names(former_url)
    assert users(former_url) == [("ada@example.org",)]


def test_a_row_of_the_application_stays_where_it_is(former_url: str) -> None:
    run_sql(former_url, f"INSERT INTO {FORMER} VALUES ('5b1f0e3c9a7d')")
    migrations.upgrade(former_url)
    assert revisions.is_current(former_url)
    assert run_sql(former_url, f"SELECT version_num FROM {FORMER}") == [("5b1f0e3c9a7d",)]
    migrations.downgrade(former_url, "base")
    assert run_sql(former_url, f"SELECT version_num FROM {FORMER}") == [("5b1f0e3c9a7d",)]


def test_six_processes_take_it_over_at_once(former_url: str) -> None:
    arguments = [sys.executable, "-c", MIGRATE_SIX_TIMES, former_url]
    done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert revisions.is_current(former_url)
    assert users(former_url) == [("ada@example.org",)]


def test_a_migration_that_fails_leaves_the_former_table(
    former_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(RuntimeError):
        migrations.upgrade(former_url)
    assert run_sql(former_url, f"SELECT version_num FROM {FORMER}") == [
        ("0018_prune_large_tables",)
    ]
    assert version_table.NAME not in table_names(former_url)


@pytest.fixture
def host_url(empty_url: str) -> str:
    """The database of an application that names its tables and migrations as we do."""
    run_sql(empty_url, "CREATE TABLE users (id INTEGER PRIMARY KEY, nickname VARCHAR(80))")
    run_sql(empty_url, "INSERT INTO users VALUES (1, 'grace')")
    run_sql(empty_url, f"CREATE TABLE {FORMER} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    run_sql(empty_url, f"INSERT INTO {FORMER} VALUES ('0001_users')")
    return empty_url


def test_a_table_of_the_application_with_the_name_of_ours_is_left_alone(host_url: str) -> None:
    assert not revisions.is_current(host_url)
    with pytest.raises(UnsuitableDatabase, match="a table users that is not Counterfoil's"):
        migrations.upgrade(host_url)
    assert table_names(host_url) == {"users", FORMER}
    assert run_sql(host_url, "SELECT nickname FROM users") == [("grace",)]
    assert run_sql(host_url, f"SELECT version_num FROM {FORMER}") == [("0001_users",)]


def test_the_message_says_in_one_line_what_to_do_and_that_works(
    host_url: str, tmp_path: Path
) -> None:
    def migrate(url: str) -> tuple[int, str]:
        done = CliRunner(env={"DATABASE_URL": url}).invoke(cli, ["migrate"])
        return done.exit_code, done.stderr

    status, said = migrate(host_url)
    # The first line names the database.
    assert (status, said.count("\n")) == (1, 2)
    if host_url.startswith("sqlite"):
        assert "name another file in COUNTERFOIL_DATABASE_URL" in said
        own = f"sqlite:///{tmp_path / 'own.db'}"
    else:
        assert "CREATE SCHEMA counterfoil, and append ?options=-csearch_path%3Dcounterfoil" in said
        url = make_url(host_url).update_query_dict({"options": "-csearch_path=counterfoil"})
        own = url.render_as_string(hide_password=False)
        status, said = migrate(own)
        assert (status, said.count("\n")) == (1, 2)
        assert "there is no schema counterfoil that this role may use: CREATE SCHEMA" in said
        run_sql(host_url, "CREATE SCHEMA counterfoil")
    assert migrate(own)[0] == 0
    assert revisions.is_current(own)
    assert run_sql(host_url, "SELECT nickname FROM users") == [("grace",)]
    assert users(own) == []
