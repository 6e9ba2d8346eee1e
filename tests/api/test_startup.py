"""A start that fails reports why in one line, and no supervisor repeats it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from api.commands.cli import cli
from harness.postgresql import DatabaseServer
from harness.processes import free_port
from harness.server import REPOSITORY

API_PY = [sys.executable, str(REPOSITORY / "api.py"), "serve"]
UVICORN = [sys.executable, "-m", "uvicorn", "api:app"]
COMMANDS = {
    "python api.py serve": API_PY,
    "python api.py serve --workers 2": [*API_PY, "--workers", "2"],
    "uvicorn api:app": UVICORN,
    "uvicorn api:app --workers 2": [*UVICORN, "--workers", "2"],
}
every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@pytest.fixture
def empty_database(postgresql: DatabaseServer) -> Iterator[str]:
    name = f"empty_{uuid4().hex}"
    yield postgresql.create_database(name)
    postgresql.drop_database(name)


@every_command
def test_postgresql_behind_the_newest_migration(
    command: list[str], empty_database: str, tmp_path: Path
) -> None:
    reason = fail_to_start(command, tmp_path, DATABASE_URL=empty_database)
    assert "behind the newest migration: run `python api.py migrate` first" in reason
    # The address is named without its password.
    assert ":***@" in reason


# How several workers are started makes no difference to what has just been tried with them.
@pytest.mark.parametrize("command", [API_PY, UVICORN])
def test_a_database_that_does_not_answer(command: list[str], tmp_path: Path) -> None:
    url = f"postgresql://ada:secret@127.0.0.1:{free_port()}/counterfoil"
    reason = fail_to_start(command, tmp_path, DATABASE_URL=url)
    assert "postgresql://ada:***@" in reason
    assert "Connection refused" in reason


@every_command
def test_a_value_that_is_impossible(command: list[str], tmp_path: Path) -> None:
    reason = fail_to_start(command, tmp_path, COUNTERFOIL_ACCESS_TOKEN_SECONDS="an hour")
    assert "COUNTERFOIL_ACCESS_TOKEN_SECONDS" in reason
    assert "an hour" not in reason


def test_a_setting_that_does_not_exist(tmp_path: Path) -> None:
    reason = fail_to_start(API_PY, tmp_path, COUNTERFOIL_ACCESS_TOKEN_SECOND="60")
    assert "COUNTERFOIL_ACCESS_TOKEN_SECOND: there is no such setting" in reason


def test_a_setting_from_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    reason = fail_to_start(API_PY, tmp_path, COUNTERFOIL_METRICS_TOKEN_FILE="/no/file")
    assert "COUNTERFOIL_METRICS_TOKEN_FILE: /no/file cannot be read: No such file" in reason


MISSPELT = [
    *("DATABASE_URI", "DATABASE_URLS", "DATABSE_URL", "DATABASEURL", "Database_Uri"),
    *("DB_URL", "POSTGRES_URL", "SQLALCHEMY_DATABASE_URI", "DATABASE_DSN"),
    "COUNTERFIOL_DATABASE_URL",
]
ELSEWHERE = "postgresql://ada:secret@db/counterfoil"


@pytest.mark.parametrize("command", ["check", "sessions list"])
def test_a_misspelt_name_of_the_database_does_not_mean_sqlite(tmp_path: Path, command: str) -> None:
    words = [sys.executable, str(REPOSITORY / "api.py"), *command.split()]
    done = run(words, tmp_path, DATABASE_URI=ELSEWHERE)
    assert done.returncode == 3
    assert done.stderr.startswith("counterfoil: DATABASE_URI: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", MISSPELT)
def test_nor_does_any_other_name_that_resembles_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env={name: ELSEWHERE, "DATABASE_URL": None}).invoke(cli, ["sessions", "list"])
    assert done.exit_code == 3
    assert done.stderr.startswith(f"counterfoil: {name.upper()}: ")
    assert not list(tmp_path.iterdir())


def test_a_misspelt_name_in_a_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URI=postgresql://ada:secret@db/counterfoil\n")
    reason = fail_to_start(API_PY, tmp_path)
    assert "DATABASE_URI: the database is named by DATABASE_URL" in reason


def test_other_names_mean_nothing_once_the_database_is_named(tmp_path: Path) -> None:
    check = [sys.executable, str(REPOSITORY / "api.py"), "check"]
    others = {"POSTGRES_URL": "postgresql://other", "DATABASE_URI": "postgresql://other"}
    for name in ("DATABASE_URL", "COUNTERFOIL_DATABASE_URL"):
        done = run(check, tmp_path, **{name: "sqlite:///a.db"}, **others)
        assert "sqlite:///a.db cannot be used: there is no such file" in done.stderr
        assert "is not set" not in done.stderr


def test_check_says_that_no_database_was_named(tmp_path: Path) -> None:
    for name in ("migrate", "check"):
        done = run([sys.executable, str(REPOSITORY / "api.py"), name], tmp_path)
    assert done.stdout == "ok\n"
    assert "DATABASE_URL is not set: the database is sqlite:///counterfoil.db" in done.stderr


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear Charles,\n" * 100)
    reason = fail_to_start(API_PY, tmp_path, DATABASE_URL="sqlite:///letter.db")
    assert "sqlite:///letter.db cannot be used: file is not a database" in reason


def test_commands_say_in_one_line_that_the_database_does_not_answer(tmp_path: Path) -> None:
    url = f"postgresql://ada:secret@127.0.0.1:{free_port()}/counterfoil"
    for name in ("migrate", "check"):
        done = run([sys.executable, str(REPOSITORY / "api.py"), name], tmp_path, DATABASE_URL=url)
        assert done.returncode == 1
        database, reason = done.stderr.splitlines()
        assert database == f"Database: {url.replace('secret', '***')}"
        assert "cannot be used: " in reason


def fail_to_start(command: list[str], folder: Path, **settings: str) -> str:
    """Start it, see it end by itself, and return the line that says why."""
    done = run([*command, "--port", str(free_port())], folder, **settings)
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    assert "secret" not in output
    reasons = [line for line in output.splitlines() if "counterfoil: " in line]
    # uvicorn's supervisor reports the workers' failure in its log, but exits with 0 all the same.
    is_supervised = "uvicorn" in command and "--workers" in command
    assert done.returncode != 0 or is_supervised
    assert len(reasons) == 1 or (is_supervised and len(reasons) == 2)
    return reasons[0]


def run(command: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """In an empty folder, with no settings but these; a respawning supervisor runs into the end."""
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
