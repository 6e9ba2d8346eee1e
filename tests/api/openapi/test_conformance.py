"""schemathesis holds the running service to its OpenAPI description, with every check it has."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.server import REPOSITORY, Server
from tests.support.mailbox import SENDER

# None that the examples of the description show, or one of them would change it.
PASSWORD = "a long horse of another colour"
# 400 and 422 count as acceptable answers to data that fits the description: JSON Schema cannot say
# that a password must not be a common one, nor which scopes a user can be given.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 422]
"""
AUTHENTICATION = f"""
[auth.dynamic.openapi.Bearer]
path = "/login"
method = "post"
payload = {{ username = "root@example.org", password = "{PASSWORD}" }}
extract_selector = "/access_token"
"""
ANONYMITY = """
[auth]
auto-signup = false
"""
# Hundreds of logins, each with a hash, are not what is looked at here.
ENVIRONMENT = {"COUNTERFOIL_LOGIN_THROTTLE": "off", "COUNTERFOIL_BCRYPT_ROUNDS": "4"}

# The other phases try at random what these try in turn, and take several times as long.
EXAMPLES = ("--phases", "examples,coverage")


# What is held to the description lies above the database.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_service_does_what_its_description_says(database_url: str, tmp_path: Path) -> None:
    hold_to_description(database_url, tmp_path, AUTHENTICATION, *EXAMPLES)


# Most of what comes without a token is rejected before it comes to the database, and before its
# fields are looked at. Those of the other routes are tried with wrong values above.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_does_so_without_a_token(database_url: str, tmp_path: Path) -> None:
    hold_to_description(database_url, tmp_path, ANONYMITY, *EXAMPLES, "--mode", "positive")


def hold_to_description(database_url: str, tmp_path: Path, caller: str, *options: str) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION + caller)
    mail = {"COUNTERFOIL_MAIL_URL": f"file:{tmp_path}/mail", "COUNTERFOIL_MAIL_FROM": SENDER}
    with Server.launch(database_url, environment={**ENVIRONMENT, **mail}) as server:
        make_administrator(database_url, tmp_path)
        report = run_schemathesis(server, configuration, options)
        log = server.log()
    assert report.returncode == 0, report.stdout
    assert "No tests were run" not in report.stdout
    assert "Traceback" not in log


def make_administrator(database_url: str, folder: Path) -> None:
    """Whom no request can delete, as the last administrator."""
    command = ["create-user", "root@example.org", "--role", "admin", "--password-stdin"]
    subprocess.run(
        [sys.executable, str(REPOSITORY / "api.py"), *command],
        input=PASSWORD.encode(),
        env={**ENVIRONMENT, "DATABASE_URL": database_url},
        cwd=folder,
        capture_output=True,
        check=True,
    )


def run_schemathesis(
    server: Server, configuration: Path, options: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / "schemathesis")
    return subprocess.run(
        [
            *(program, "--config-file", str(configuration), "run", f"{server.url}/openapi.json"),
            *("--checks", "all", "--generation-deterministic", "--no-shrink"),
            *("--max-examples", "5", "--no-color", "--suppress-health-check", "all"),
            *options,
        ],
        cwd=configuration.parent,
        capture_output=True,
        text=True,
        check=False,
    )
