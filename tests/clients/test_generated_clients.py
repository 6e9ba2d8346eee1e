"""Clients that are generated from docs/openapi.json compile, and the Python one works."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from harness.programs import require_node_package, require_openapi_client, require_program
from harness.server import REPOSITORY, Server
from tests.support.client import PASSWORD

DESCRIPTION = REPOSITORY / "docs" / "openapi.json"
PROGRAMS = Path(__file__).with_name("generated")
EMAIL = "ada@example.org"


def run(*command: str | Path, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_by_openapi_typescript_compile_and_reject_mistakes(tmp_path: Path) -> None:
    node = require_program("node")
    generator, compiler = (
        require_node_package("openapi-typescript"),
        require_node_package("typescript"),
    )
    run(node, generator / "bin" / "cli.js", DESCRIPTION, "-o", "api.d.ts", folder=tmp_path)
    (tmp_path / "program.ts").write_text((PROGRAMS / "program.ts").read_text())
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "preserve"]
    run(node, compiler / "bin" / "tsc", *options, "program.ts", folder=tmp_path)


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """The folder of the generated package."""
    generator = require_openapi_client()
    options = ["--meta", "none", "--output-path", "counterfoil_client", "--fail-on-warning"]
    # It formats what it generates by the ruff of ours.
    command = [str(generator), "generate", "--path", str(DESCRIPTION), *options]
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / "counterfoil_client"


def test_a_client_by_openapi_python_client_is_typed_and_works(client: Path, tmp_path: Path) -> None:
    python = require_openapi_client().with_name("python")
    (tmp_path / "program.py").write_text((PROGRAMS / "program.py").read_text())
    # Its own client.py, which is the same for every description, is not the thing to check.
    options = ["--strict", "--follow-imports", "silent", "--python-executable", str(python)]
    packages = [client / "api", client / "models"]
    run(sys.executable, "-m", "mypy", *options, "program.py", *packages, folder=tmp_path)

    with Server.launch(
        f"sqlite:///{tmp_path}/service.db", environment={"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    ) as server:
        account = {"email": EMAIL, "password": PASSWORD, "name": "Ada"}
        httpx2.post(f"{server.url}/register", json=account).raise_for_status()
        run(python, "program.py", server.url, EMAIL, PASSWORD, folder=tmp_path)
