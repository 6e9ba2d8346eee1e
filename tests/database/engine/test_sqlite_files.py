"""The files of SQLite hold password hashes and addresses, so other users cannot read them."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.commands.cli import cli
from database import migrations, revisions
from database.engine import sqlite
from database.engine.session import Database
from database.settings import DatabaseSettings


@pytest.fixture(autouse=True)
def permissive_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_engine(url: str) -> None:
    database = Database(DatabaseSettings(database_url=url))
    with database.transaction() as db:
        db.connection()
    database.close()


FIRST = {"migrate": migrations.upgrade, "look": revisions.is_current, "open": open_engine}


@pytest.mark.parametrize("create", FIRST.values(), ids=FIRST)
def test_a_new_file_is_private_whatever_creates_it(
    tmp_path: Path, create: Callable[[str], object]
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    create(url)
    migrations.upgrade(url)
    database = Database(DatabaseSettings(database_url=url))
    with database.transaction() as db:
        db.connection()
        found = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    database.close()
    assert found == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


def test_a_file_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.touch(0o640)
    migrations.upgrade(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("use", FIRST.values(), ids=FIRST)
def test_whoever_opens_a_new_file_waits_for_another_that_sets_it_up(
    tmp_path: Path, use: Callable[[str], object]
) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as threads:
            using = threads.submit(use, f"sqlite:///{path}")
            with pytest.raises(TimeoutError):
                using.result(timeout=0.2)
            other.execute("ROLLBACK")
            using.result()


def test_a_new_file_that_stays_locked_is_an_error_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path)) as connection,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite.prepare(connection, busy_seconds=0.05)


def test_check_warns_of_files_that_others_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = "sqlite:///counterfoil.db"
    migrations.upgrade(url)
    (tmp_path / ".env").touch(0o600)

    def warnings() -> str:
        return CliRunner(env={"DATABASE_URL": url}).invoke(cli, ["check"]).stderr

    assert "can read" not in warnings()
    (tmp_path / ".env").chmod(0o640)
    (tmp_path / "counterfoil.db").chmod(0o644)
    for name in (".env", "counterfoil.db"):
        assert f"other users can read {name}: chmod 600 {name}" in warnings()
