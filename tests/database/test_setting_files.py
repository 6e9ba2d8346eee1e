"""Settings that are read from files, as containers get their secrets."""

from pathlib import Path

import pytest

from api.settings import load
from database.settings import InvalidSettings

URL = "postgresql://ada:secret@db/counterfoil"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other .env is read."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["DATABASE_URL", "COUNTERFOIL_DATABASE_URL"])
def test_the_address_of_the_database_can_come_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "url").write_text(f"{URL}\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "url"))
    # As where an image has a default.
    monkeypatch.setenv("DATABASE_URL", "")
    settings = load().database
    assert (settings.database_url, settings.is_default) == (URL, False)


def test_any_setting_can_come_from_a_file_also_by_a_line_of_env(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a token \r\n")
    (tmp_path / "headers").write_text("X-Key, X-Other")
    (tmp_path / ".env").write_text(
        f"COUNTERFOIL_METRICS_TOKEN_FILE={tmp_path}/token\n"
        f"COUNTERFOIL_API_KEY_HEADERS_FILE={tmp_path}/headers\n"
    )
    settings = load().api
    assert settings.metrics_token is not None
    assert settings.metrics_token.get_secret_value() == "a token "
    assert settings.api_key_headers == ("X-Key", "X-Other")


def test_a_setting_is_not_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("COUNTERFOIL_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    with pytest.raises(InvalidSettings) as raised:
        load()
    assert str(raised.value) == "COUNTERFOIL_DATABASE_URL_FILE: DATABASE_URL is set as well"


@pytest.mark.parametrize("content", [b"\xff", b""])
def test_a_file_without_a_usable_value_stops_the_start_and_is_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "url").write_bytes(content)
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(InvalidSettings, match="DATABASE_URL"):
        load()


def test_a_misspelt_name_of_a_file_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_METRIC_TOKEN_FILE", "/run/secrets/token")
    with pytest.raises(InvalidSettings, match="there is no such setting"):
        load()
