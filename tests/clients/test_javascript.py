"""clients/javascript: its own tests in Node.js, its types, its package, two tabs in Chromium."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from counterfoil import __version__
from harness.pages import serve_pages
from harness.programs import require_node_package, require_program
from harness.server import REPOSITORY, Server
from tests.support.administrator import run_sql
from tests.support.browser import open_browser
from tests.support.client import PASSWORD
from tests.support.documentation import FENCE
from tests.support.factors import SECRET_KEY
from tests.support.oauth import add_client

PACKAGE = REPOSITORY / "clients" / "javascript"
MODULES = ["index.js", "code_flow.js", "requests.js", "storage.js", "tabs.js"]
EMAIL = "ada@example.org"
EXAMPLE = "/examples/single-page/index.html"
EXAMPLE_TEXT = (REPOSITORY / EXAMPLE.removeprefix("/")).read_text()

PAGE = """<!doctype html><title>An application</title><script type="module">
import { createClient, webStorage } from './index.js'
const url = new URLSearchParams(location.search).get('service')
window.client = createClient({ url, clientId: 'web', storage: webStorage() })
window.events = []
for (const type of ['login', 'refresh', 'logout'])
  client.on(type, (event) => events.push([event.type, event.isFromThisTab]))
window.read = async () => (await client.fetch(`${url}/users/me`)).status
window.readMany = () => Promise.all(Array.from({ length: 5 }, read))
</script>"""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Where the application's page and the package are served."""
    modules = {name: (PACKAGE / name).read_text() for name in MODULES}
    served = {f"/{name}": text for name, text in modules.items()}
    served |= {f"/clients/javascript/{name}": text for name, text in modules.items()}
    with serve_pages({"/page.html": PAGE, EXAMPLE: EXAMPLE_TEXT, **served}) as origin:
        yield origin


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One: a client sees no difference."""
    return f"sqlite:///{tmp_path_factory.mktemp('javascript')}/service.db"


@pytest.fixture(scope="module")
def server(origin: str, database: str) -> Iterator[Server]:
    environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4", "COUNTERFOIL_CORS_ORIGINS": origin}
    environment["COUNTERFOIL_SECRET_KEYS"] = SECRET_KEY
    with Server.launch(database, environment=environment) as server:
        account = {"email": EMAIL, "password": PASSWORD, "name": "Ada"}
        httpx2.post(f"{server.url}/register", json=account).raise_for_status()
        yield server


def run(*command: str | Path, folder: Path = PACKAGE, **environment: str) -> str:
    path = {"PATH": f"{Path(command[0]).parent}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass_in_node(server: Server) -> None:
    node = require_program("node")
    tests = ["--test", "--test-reporter", "tap", "test/client.test.js"]
    printed = run(node, *tests, SERVICE=server.url, USERNAME=EMAIL, PASSWORD=PASSWORD)
    assert re.search(r"^# pass \d{2}$", printed, re.MULTILINE)
    assert "# fail 0" in printed
    assert "# skipped 0" in printed


def test_its_types_compile_and_reject_mistakes(tmp_path: Path) -> None:
    node, compiler = require_program("node"), require_node_package("typescript")
    installed = tmp_path / "node_modules" / "counterfoil-client"
    shutil.copytree(PACKAGE, installed)
    shutil.copy(PACKAGE / "test" / "types.ts", tmp_path)
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"]
    run(node, compiler / "bin" / "tsc", *options, "types.ts", folder=tmp_path)


def test_the_program_on_the_page_for_authors_of_clients_runs(
    server: Server, tmp_path: Path
) -> None:
    node, compiler = require_program("node"), require_node_package("typescript")
    page = (REPOSITORY / "docs" / "how-to" / "clients.md").read_text()
    (program,) = (text for language, text in FENCE.findall(page) if language == "ts")
    shutil.copytree(PACKAGE, tmp_path / "node_modules" / "counterfoil-client")
    (tmp_path / "orders.ts").write_text(program)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    # What Node.js itself declares is in a package of its own.
    (tmp_path / "node.d.ts").write_text("declare const process: { env: Record<string, string> }")
    options = ["--strict", "--target", "es2022", "--module", "nodenext"]
    run(node, compiler / "bin" / "tsc", *options, "orders.ts", "node.d.ts", folder=tmp_path)

    assert run(node, "orders.js", folder=tmp_path, SERVICE=server.url).split() == [
        EMAIL,
        "logged-out",
    ]


def test_the_package_holds_what_is_needed_and_the_version_of_the_service(tmp_path: Path) -> None:
    npm = require_program("npm")
    packed = json.loads(run(npm, "pack", "--dry-run", "--json", npm_config_cache=str(tmp_path)))[0]
    files = {file["path"] for file in packed["files"]}
    assert files == {"LICENSE", "README.md", "package.json", "index.d.ts", *MODULES}
    assert packed["version"] == __version__
    described = json.loads((PACKAGE / "package.json").read_text())
    assert not {"dependencies", "peerDependencies"} & described.keys()
    assert (PACKAGE / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with open_browser() as browser:
        chromium = browser.page.context.browser
        assert chromium is not None
        with chromium.new_context() as context:
            yield context


def test_the_single_page_example_signs_in_and_out(
    context: BrowserContext, origin: str, server: Server, database: str
) -> None:
    add_client(
        lambda statement: run_sql(database, statement),
        database,
        "single-page",
        redirect_uris=f"{origin}{EXAMPLE}",
    )
    page = context.new_page()
    page.goto(f"{origin}{EXAMPLE}?service={server.url}")
    expect(page.get_by_role("status")).to_have_text("You are not signed in.")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("E-mail or username").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("status")).to_have_text(f"You are {EMAIL}.")
    assert page.url == f"{origin}{EXAMPLE}"
    page.reload()
    expect(page.get_by_role("status")).to_have_text(f"You are {EMAIL}.")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are not signed in.")

    # Somebody who has been signed in before is asked for no password. Then the session is revoked.
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("status")).to_have_text(f"You are {EMAIL}.")
    revoke = "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE oauth_client_id IS NOT NULL"
    run_sql(database, revoke)
    page.reload()
    expect(page.get_by_role("status")).to_have_text("You are not signed in.")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    live = "SELECT count(*) FROM sessions WHERE oauth_client_id IS NOT NULL AND revoked_at IS NULL"
    assert run_sql(database, live) == [(0,)]
    page.close()


def open_tab(context: BrowserContext, origin: str, server: Server) -> Page:
    page = context.new_page()
    page.goto(f"{origin}/page.html?service={server.url}")
    page.wait_for_function("window.readMany")
    return page


def test_two_tabs_share_a_login_refresh_once_and_log_out_together(
    context: BrowserContext, origin: str, server: Server
) -> None:
    refreshes: list[str] = []
    context.on(
        "request",
        lambda request: refreshes.append(request.url) if request.url.endswith("/token") else None,
    )
    first, second = (open_tab(context, origin, server) for _ in range(2))
    login = {"username": EMAIL, "password": PASSWORD}
    first.evaluate("login => client.logIn(login)", login)
    assert [page.evaluate("read()") for page in (first, second)] == [200, 200]

    token = first.evaluate("JSON.parse(localStorage.counterfoil).accessToken")
    httpx2.post(f"{server.url}/revoke", data={"token": token}).raise_for_status()
    # Both are under way before either is waited for.
    for page in (first, second):
        page.evaluate("() => { window.results = readMany() }")
    for page in (first, second):
        assert page.evaluate("results") == [200] * 5
    assert len(refreshes) == 1

    first.evaluate("client.logOut()")
    second.wait_for_function("events.some(([type]) => type === 'logout')")
    assert second.evaluate("client.isLoggedIn()") is False
    assert second.evaluate("read()") == 401
    for page, is_own in ((first, True), (second, False)):
        happened = page.evaluate("events")
        assert [happened[0], happened[-1]] == [["login", is_own], ["logout", is_own]]
