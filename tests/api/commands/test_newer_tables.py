"""Older code on newer tables, as in the middle of an upgrade: refused in one clear line."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from api import startup
from api.commands.cli import cli
from database import revisions
from database.settings import DatabaseSettings
from tests.support.administrator import Sql


@pytest.fixture(autouse=True)
def newer_tables(sql: Sql) -> Iterator[None]:
    sql("UPDATE counterfoil_alembic_version SET version_num = '9999_to_come'")
    yield
    sql(f"UPDATE counterfoil_alembic_version SET version_num = '{revisions.newest()}'")


@pytest.mark.parametrize("command", ["migrate", "check", "demo"])
def test_a_command_says_that_its_code_is_older(command: str, database_url: str) -> None:
    done = CliRunner(env={"DATABASE_URL": database_url}).invoke(cli, [command])
    assert done.exit_code == 1
    # The first names the database.
    assert done.stderr.count("\n") == 2
    assert "newer than this code" in done.stderr
    assert "behind" not in done.stderr


def test_the_service_does_not_start(database_url: str) -> None:
    with pytest.raises(startup.CannotStart, match="newer than this code"):
        startup.prepare_database_now(DatabaseSettings(database_url=database_url))
