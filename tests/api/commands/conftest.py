"""Runs commands on the test's database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.commands.cli import cli


@pytest.fixture
def command(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs a command on the test's database, in a folder that has no .env."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COUNTERFOIL_BCRYPT_ROUNDS", "4")
    return lambda *words, stdin="": CliRunner().invoke(cli, words, input=stdin)
