"""Every documented way to serve serves, says where, and ends in order when it is told to."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import make_url

from harness.processes import free_port
from harness.server import REPOSITORY, Server
from tests.support.administrator import Sql
from tests.support.client import PASSWORD

pytestmark = pytest.mark.one_database

QUICK = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
API_PY = [sys.executable, str(REPOSITORY / "api.py")]
FASTAPI = f"cd {shlex.quote(str(REPOSITORY))} && exec {shlex.quote(sys.executable)} -m fastapi"

COMMANDS = {
    "uvicorn api:app": [sys.executable, "-m", "uvicorn", "api:app", "--port", "{port}"],
    "python api.py": API_PY,
    "python api.py serve --workers 2": [*API_PY, "serve", "--port", "{port}", "--workers", "2"],
    "python api.py serve --reload": [*API_PY, "serve", "--port", "{port}", "--reload"],
    "fastapi dev": ["sh", "-c", f"{FASTAPI} dev --port {{port}}"],
    "fastapi run api.py": ["sh", "-c", f"{FASTAPI} run api.py --host 127.0.0.1 --port {{port}}"],
    "fastapi run": ["sh", "-c", f"{FASTAPI} run --host 127.0.0.1 --port {{port}}"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_it_serves_a_new_sqlite_file_and_ends_in_order(command: list[str], tmp_path: Path) -> None:
    port = free_port()
    with Server.launch(
        f"sqlite:///{tmp_path}/new.db",
        command=command,
        port=port,
        environment={**QUICK, "COUNTERFOIL_PORT": str(port)},
    ) as server:
        account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
        # Without a supervisor, uvicorn ends by the signal itself once everything has been closed.
        assert server.stop() in {0, -signal.SIGTERM}
        assert "Application shutdown complete." in server.log()
        is_ours = str(REPOSITORY / "api.py") in command
        assert ("this server bounds neither" in server.log()) is not is_ours
        assert "Traceback" not in server.log()


def test_the_start_says_what_is_served_and_how_to_make_the_first_administrator(
    database_url: str,
) -> None:
    with Server.launch(database_url, environment=QUICK) as server:
        said = server.log()
        printed = said.split("Counterfoil serves ")[1].splitlines()[0]
        metadata = httpx2.get(f"{printed}/.well-known/oauth-authorization-server").json()
        assert metadata["issuer"] == printed == server.url
        assert f"{printed}/docs\n" in said
        assert f"http://localhost:{server.port} (browsers make none for an IP address)\n" in said
        password = make_url(database_url).password
        assert password is None or password not in said

        create = next(line for line in said.splitlines() if "create-user" in line)
        run_printed_command(create, database_url)
        login = {"email": "you@example.org", "password": PASSWORD}
        tokens = httpx2.post(f"{server.url}/login", json=login).json()
        assert "admin" in tokens["scope"].split()

    # None of it is said where it does not hold.
    public = {"COUNTERFOIL_DOCS": "false", "COUNTERFOIL_ISSUER": "https://id.example.org"}
    with Server.launch(database_url, environment={**QUICK, **public}) as server:
        for text in ("no administrator", "/docs", "localhost"):
            assert text not in server.log()


def test_a_service_whose_database_cannot_be_read_says_so_and_starts(
    database_url: str, sql: Sql
) -> None:
    sql("ALTER TABLE roles RENAME TO away")
    try:
        with Server.launch(database_url, environment=QUICK) as server:
            line = next(one for one in server.log().splitlines() if "cannot be read now: " in one)
            assert "roles" in line
            assert httpx2.get(f"{server.url}/health/live").status_code == 200
    finally:
        # Other tests use the same database.
        sql("ALTER TABLE away RENAME TO roles")


def run_printed_command(line: str, database_url: str) -> None:
    """As printed, with the settings of the service, and the password from a pipe."""
    subprocess.run(
        [*shlex.split(line), "--password-stdin"],
        env={"PYTHONPATH": str(REPOSITORY), "DATABASE_URL": database_url, **QUICK},
        input=PASSWORD.encode(),
        check=True,
        timeout=60,
    )
