"""The TypeScript of docs/how-to/passkeys.md, compiled and run in Chromium with an authenticator."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from harness.pages import serve_pages
from harness.processes import free_port
from harness.programs import require_node_package, require_program
from harness.server import REPOSITORY, Server
from tests.support.browser import open_browser
from tests.support.client import Client, connected
from tests.support.virtual_authenticator import VirtualAuthenticator

EMAIL = "ada@example.org"
HTML = """<!doctype html><title>An application</title><script type="module">
import * as passkeys from "/passkeys.js"
Object.assign(window, { passkeys })
</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("passkeys")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def origin(folder: Path, port: int) -> Iterator[str]:
    """Where the application's page is: an origin of its own."""
    pages = {"/page.html": HTML, "/passkeys.js": compile_program(folder, port)}
    with serve_pages(pages) as address:
        yield address.replace("127.0.0.1", "localhost")


def compile_program(folder: Path, port: int) -> str:
    """The program of the page, in JavaScript, for a service on this port."""
    text = (REPOSITORY / "docs" / "how-to" / "passkeys.md").read_text()
    (block,) = re.findall(r"^```ts\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (folder / "passkeys.ts").write_text(block.replace(":8000", f":{port}"))
    compiler = require_node_package("typescript") / "bin" / "tsc"
    options = ["--strict", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom"]
    done = subprocess.run(
        [require_program("node"), compiler, *options, "passkeys.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return (folder / "passkeys.js").read_text()


@pytest.fixture(scope="module")
def client(folder: Path, port: int, origin: str) -> Iterator[Client]:
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_ISSUER": f"http://localhost:{port}",
        "COUNTERFOIL_CORS_ORIGINS": origin,
        "COUNTERFOIL_PASSKEY_ORIGINS": origin,
    }
    database = f"sqlite:///{folder}/service.db"
    with (
        Server.launch(database, environment=environment, port=port) as server,
        connected(server.url) as client,
    ):
        yield client


@pytest.fixture
def page(client: Client, origin: str) -> Iterator[Page]:
    with open_browser() as browser:
        browser.page.goto(f"{origin}/page.html")
        browser.page.wait_for_function("window.passkeys")
        yield browser.page


def call(page: Page, function: str, *arguments: str) -> str:
    """Call a function of the program. Returns its access token or its id, or the error."""
    script = """([name, ...rest]) => passkeys[name](...rest).then(
      result => result?.access_token ?? result?.id ?? "", error => error.message || error.name)"""
    return str(page.evaluate(script, [function, *arguments]))


def test_the_program_adds_a_passkey_logs_in_and_confirms(client: Client, page: Page) -> None:
    device = VirtualAuthenticator(page)
    assert page.evaluate("passkeys.isSupported")
    ada = client.sign_up(EMAIL)
    added = call(page, "addPasskey", ada.access_token, "Ada's laptop")
    (listed,) = client.http.get("/passkeys", headers=ada.headers).json()
    assert (listed["id"], listed["name"]) == (added, "Ada's laptop")

    token = call(page, "logIn", "app")
    assert client.me(token).json()["email"] == EMAIL

    # A copy of the key that has signed less often.
    device.set_counter(0)
    assert call(page, "logIn", "app") == "invalid_passkey"
    device.set_counter(10)
    device.set_user_verified(False)
    assert call(page, "logIn", "app") != ""
    assert client.me(call(page, "logIn", "app")).status_code == 401
