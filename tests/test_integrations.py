"""examples/integrations/ in each language: a key is replaced, or is kept if it cannot be."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.programs import require_node_package, require_program
from harness.server import REPOSITORY, Server
from tests.support.client import Client, Tokens, connected

FOLDER = REPOSITORY / "examples" / "integrations"
INTERPRETERS = {
    ".sh": "sh",
    ".py": "python3",
    ".ts": "node",
    ".go": "go",
    ".rb": "ruby",
    ".php": "php",
}
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
    settings = {"COUNTERFOIL_BCRYPT_ROUNDS": "4", "COUNTERFOIL_MAX_API_KEY_DAYS": "0"}
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
    match extension:
        case ".ts":
            return [interpreter, str(compile_typescript(interpreter, source, folder))]
        case ".go":
            return [str(compile_go(interpreter, source, folder))]
    return [interpreter, str(source)]


def compile_typescript(node: str, source: Path, folder: Path) -> Path:
    compiler = require_node_package("typescript") / "bin" / "tsc"
    (folder / "node.d.ts").write_text(_NODE_TYPES)
    shutil.copy(source, folder / "rotate.mts")
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    done = execute([node, str(compiler), *options, "node.d.ts", "rotate.mts"], folder)
    assert done.returncode == 0, done.stdout
    return folder / "rotate.mjs"


def compile_go(go: str, source: Path, folder: Path) -> Path:
    # It must neither fetch a newer Go nor read what was built before.
    environment = {"HOME": str(folder), "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    done = execute([go, "build", "-o", "rotate", str(source)], folder, **environment)
    assert done.returncode == 0, done.stderr
    return folder / "rotate"


def execute(
    command: list[str], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    environment["PATH"] = "/usr/bin:/bin"
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_each_example_is_tried() -> None:
    assert {path.suffix for path in FOLDER.iterdir() if path.is_file()} == INTERPRETERS.keys()


@pytest.mark.parametrize("extension", INTERPRETERS)
def test_an_integration_shows_its_key_and_replaces_it(
    extension: str, service: Server, client: Client, tokens: Tokens, tmp_path: Path
) -> None:
    file, command = tmp_path / "key", program(extension, tmp_path)
    environment = {"COUNTERFOIL_URL": service.url, "KEY_FILE": str(file)}

    def replace(key: str) -> tuple[subprocess.CompletedProcess[str], str]:
        """What the program says, and the key that it leaves in the file."""
        file.write_text(key)
        return execute(command, tmp_path, **environment), file.read_text()

    for days, end in ((90, None), (None, "never")):
        made = client.create_api_key(tokens, scopes=["rotate"], expires_in_days=days)
        done, new = replace(made["key"])
        shown = end or made["expires_at"][:10]
        assert done.stdout == f"Nightly report, expires: {shown}\n", done.stderr
        assert new != made["key"]
        assert file.stat().st_mode & 0o777 == 0o600
        current = client.http.get("/api-keys/current", headers={"X-API-Key": new})
        assert current.json()["name"] == "Nightly report"

    # What cannot be replaced is kept, and the program says why.
    without = client.create_api_key(tokens, scopes=[])["key"]
    client.http.post("/revoke", data={"token": new})
    for key, status in ((without, "403"), (new, "401")):
        failed, kept = replace(key)
        assert (failed.returncode != 0, kept) == (True, key)
        assert status in failed.stderr + failed.stdout
