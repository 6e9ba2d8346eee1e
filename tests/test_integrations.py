"""examples/integrations/ in each language: a key is replaced, and a revoked one is reported."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.programs import require_node_package, require_program
from harness.server import REPOSITORY, Server
from tests.support.client import Client, Tokens, connected

FOLDER = REPOSITORY / "examples" / "integrations"
INTERPRETERS = {".sh": "sh", ".py": "python3", ".ts": "node", ".rb": "ruby", ".php": "php"}
_NODE_TYPES = """
declare const process: { env: Record<string, string | undefined> }
declare module 'node:fs' {
  export function readFileSync(path: string, encoding: 'utf8'): string
  export function renameSync(from: string, to: string): void
  export function writeFileSync(path: string, text: string, options: { mode: number }): void
}
"""


@pytest.fixture(scope="module")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("integrations") / "counterfoil.db"
    shutil.copy(sqlite_template, database)
    settings = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with Server.launch(f"sqlite:///{database}", environment=settings) as server:
        yield server


@pytest.fixture(scope="module")
def client(service: Server) -> Iterator[Client]:
    with connected(service.url) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(client: Client) -> Tokens:
    return client.sign_up()


def program(extension: str, folder: Path) -> list[str]:
    """The command that runs the example in a language."""
    interpreter = require_program(INTERPRETERS[extension])
    source = FOLDER / f"rotate{extension}"
    if extension != ".ts":
        return [interpreter, str(source)]
    compiler = require_node_package("typescript") / "bin" / "tsc"
    (folder / "node.d.ts").write_text(_NODE_TYPES)
    shutil.copy(source, folder / "rotate.mts")
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    command = [interpreter, str(compiler), *options, "node.d.ts", "rotate.mts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return [interpreter, str(folder / "rotate.mjs")]


def test_each_example_is_tried() -> None:
    assert {path.suffix for path in FOLDER.iterdir() if path.is_file()} == INTERPRETERS.keys()


@pytest.mark.parametrize("extension", INTERPRETERS)
def test_an_integration_shows_its_key_and_replaces_it(
    extension: str, service: Server, client: Client, tokens: Tokens, tmp_path: Path
) -> None:
    made = client.create_api_key(tokens, name="Nightly report", scopes=["rotate"])
    file = tmp_path / "key"
    file.write_text(made["key"])
    command, environment = program(extension, tmp_path), {"COUNTERFOIL_URL": service.url}
    done = subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin", **environment, "KEY_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"Nightly report expires on {made['expires_at'][:10]}\n", done.stderr
    assert file.read_text() != made["key"]
    assert file.stat().st_mode & 0o777 == 0o600
    current = client.http.get("/api-keys/current", headers={"X-API-Key": file.read_text()})
    assert current.json()["name"] == "Nightly report"
    client.http.post("/revoke", data={"token": file.read_text()})
    failed = subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin", **environment, "KEY_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode != 0
    assert "401" in failed.stderr + failed.stdout
