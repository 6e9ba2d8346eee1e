"""Settings that weaken the service are named at the start, and by `check`."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api import weak_settings
from api.commands.cli import cli
from api.settings import load
from harness.server import Server

WEAK = [
    ("COUNTERFOIL_BCRYPT_ROUNDS", "11", "BCRYPT_ROUNDS below 12"),
    ("COUNTERFOIL_LOGIN_THROTTLE", "off", "LOGIN_THROTTLE is off"),
    ("COUNTERFOIL_PASSWORD_MIN_LENGTH", "7", "PASSWORD_MIN_LENGTH below 8"),
    ("COUNTERFOIL_MAX_API_KEY_DAYS", "0", "MAX_API_KEY_DAYS is 0"),
    ("COUNTERFOIL_TRUSTED_PROXIES", "10.0.0.1, 0.0.0.0/0", "TRUSTED_PROXIES has 0.0.0.0/0"),
    ("COUNTERFOIL_TRUSTED_PROXIES", "128.0.0.0/1", "TRUSTED_PROXIES has 128.0.0.0/1"),
    ("COUNTERFOIL_TRUSTED_PROXIES", "::/0", "TRUSTED_PROXIES has ::/0"),
    ("COUNTERFOIL_CORS_ORIGINS", "http://app.example.org", "CORS_ORIGINS has http://app.example"),
    ("COUNTERFOIL_METRICS", "on", "METRICS is on"),
    ("COUNTERFOIL_ACCESS_TOKEN_SECONDS", "1209600", "ACCESS_TOKEN_SECONDS is not below REFRESH"),
    ("COUNTERFOIL_SESSION_SECONDS", "1209599", "SESSION_SECONDS is below the lifetime of a token"),
    ("COUNTERFOIL_CONSOLE_SESSION_SECONDS", "3599", "CONSOLE_SESSION_SECONDS is below"),
    ("COUNTERFOIL_REFRESH_GRACE_SECONDS", "60", "REFRESH_GRACE_SECONDS is not below ACCESS"),
    ("COUNTERFOIL_LAST_USED_SECONDS", "601", "LAST_USED_SECONDS is above REFRESH"),
]
# Weak only together with another one.
BESIDE = {
    "COUNTERFOIL_REFRESH_GRACE_SECONDS": {"COUNTERFOIL_ACCESS_TOKEN_SECONDS": "60"},
    "COUNTERFOIL_LAST_USED_SECONDS": {
        "COUNTERFOIL_ACCESS_TOKEN_SECONDS": "60",
        "COUNTERFOIL_REFRESH_TOKEN_SECONDS": "600",
    },
    # This machine is no address that clients of a proxy could call.
    "COUNTERFOIL_TRUSTED_PROXIES": {
        "COUNTERFOIL_ISSUER": "https://auth.example.org",
        "COUNTERFOIL_METRICS": "off",
    },
}
STRONG = {
    "COUNTERFOIL_BCRYPT_ROUNDS": "12",
    "COUNTERFOIL_LOGIN_THROTTLE": "on",
    "COUNTERFOIL_PASSWORD_MIN_LENGTH": "8",
    "COUNTERFOIL_MAX_API_KEY_DAYS": "3650",
    "COUNTERFOIL_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32, 127.0.0.1",
    "COUNTERFOIL_CORS_ORIGINS": "https://app.example.org, http://localhost:5173",
    "COUNTERFOIL_METRICS": "on",
    "COUNTERFOIL_METRICS_TOKEN": "a token",
    "COUNTERFOIL_ISSUER": "https://auth.example.org",
}


def found() -> list[str]:
    return list(weak_settings.find(load()))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env is read."""
    monkeypatch.chdir(tmp_path)


def test_the_defaults_and_strong_settings_are_not_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert found() == []
    for name, value in STRONG.items():
        monkeypatch.setenv(name, value)
    assert found() == []


@pytest.mark.parametrize(("name", "value", "warning"), WEAK)
def test_a_weak_setting_is_the_only_one_that_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, warning: str
) -> None:
    for other, beside in BESIDE.get(name, {}).items():
        monkeypatch.setenv(other, beside)
    assert found() == []
    monkeypatch.setenv(name, value)
    assert len(found()) == 1
    assert found()[0].startswith(warning)


@pytest.mark.parametrize(
    ("issuer", "is_weak"),
    [
        ("http://auth.example.org", True),
        ("http://192.0.2.1:8000", True),
        ("http://localhost.example.org", True),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("https://auth.example.org", False),
    ],
)
def test_an_issuer_without_tls_is_warned_of_unless_it_is_this_machine(
    monkeypatch: pytest.MonkeyPatch, issuer: str, is_weak: bool
) -> None:
    monkeypatch.setenv("COUNTERFOIL_METRICS", "off")
    monkeypatch.setenv("COUNTERFOIL_ISSUER", issuer)
    assert [warning.startswith("ISSUER is not https") for warning in found()] == [True] * is_weak


def test_an_issuer_on_this_machine_behind_proxies_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COUNTERFOIL_TRUSTED_PROXIES", "10.0.0.1")
    monkeypatch.setenv("COUNTERFOIL_PORT", "8123")
    assert found() == [
        "ISSUER is http://127.0.0.1:8123 behind TRUSTED_PROXIES: clients are told this address"
    ]


def test_local_metrics_of_a_public_service_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_ISSUER", "https://auth.example.org")
    assert [warning.startswith("METRICS is local") for warning in found()] == [True]


def test_check_shows_each_and_is_still_ok(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    for name, value, _ in WEAK[:4]:
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(cli, ["check"])
    assert (result.exit_code, result.stdout) == (0, "ok\n")
    for _, _, warning in WEAK[:4]:
        assert f"warning: {warning}" in result.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_each_is_logged_once_at_the_start(tmp_path: Path, workers: int) -> None:
    environment = {name: value for name, value, _ in WEAK[:4]}
    url = f"sqlite:///{tmp_path}/weak.db"
    with Server.launch(url, workers=workers, environment=environment) as server:
        lines = server.log().splitlines()
    logged = [json.loads(line)["message"] for line in lines if line.startswith("{")]
    for _, _, warning in WEAK[:4]:
        assert len([message for message in logged if message.startswith(warning)]) == 1


def test_each_is_logged_under_another_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "api:app", "--port", "{port}"]
    environment = {"COUNTERFOIL_LOGIN_THROTTLE": "off"}
    url = f"sqlite:///{tmp_path}/weak.db"
    with Server.launch(url, command=command, environment=environment) as server:
        assert server.log().count("LOGIN_THROTTLE is off") == 1
