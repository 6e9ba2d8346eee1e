"""What is written about settings is what the settings are."""

import os
import re
from pathlib import Path

import pytest

from api.settings import load
from tests.support import settings_reference
from tests.support.server import REPOSITORY


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with nothing set."""
    for name in list(os.environ):
        if name.startswith("COUNTERFOIL_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_and_the_reference_are_made_from_the_classes() -> None:
    advice = "run `python -m tests.support.settings_reference`"
    assert settings_reference.ENV_EXAMPLE.read_text() == settings_reference.env_example(), advice
    assert settings_reference.REFERENCE.read_text() == settings_reference.reference(), advice


def test_the_example_spells_out_the_defaults(no_settings: Path) -> None:
    defaults = load()
    example = settings_reference.ENV_EXAMPLE.read_text()
    lines = re.findall(r"^# ([A-Z_]+=.*)$", example, re.MULTILINE)
    assert len(lines) == sum(len(type(layer).model_fields) for layer in defaults)

    # One depends on the machine, and so has no value to spell out.
    written = [line for line in lines if line != "COUNTERFOIL_HASHING_THREADS="]
    (no_settings / ".env").write_text("\n".join(written))
    assert load() == defaults


def test_none_takes_a_limit_away(no_settings: Path) -> None:
    (no_settings / ".env").write_text("COUNTERFOIL_API_KEY_SECONDS=none")
    assert load().authentication.api_key_seconds is None


def test_the_readme_names_settings_that_exist_with_their_defaults() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| `([^`]*)` \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE
    )
    known = {
        setting.name: setting.default
        for layer in settings_reference.layers().values()
        for setting in settings_reference.read(layer)
    }
    assert rows
    assert dict(rows).items() <= known.items()
