"""The examples of clients sign a user in, call the API, and sign out."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import requests

from harness.processes import free_port
from harness.server import REPOSITORY, Server
from tests.support.administrator import Sql, count, give_role, run_sql
from tests.support.client import PASSWORD
from tests.support.oauth import DEVICE_GRANT, SECRET, add_client
from tests.support.user_agent import UserAgent

LIVE = "SELECT count(*) FROM sessions WHERE oauth_client_id IS NOT NULL AND revoked_at IS NULL"


@pytest.fixture(scope="module")
def database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("examples") / "counterfoil.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def execute(database: str) -> Sql:
    return lambda statement, parameters=(): run_sql(database, statement, parameters)


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[Server]:
    port = free_port()
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_ISSUER": f"http://127.0.0.1:{port}",
    }
    with Server.launch(database, environment=environment, port=port) as running:
        yield running


@pytest.fixture(scope="module")
def ada(server: Server, database: str, execute: Sql) -> UserAgent:
    grants = f"authorization_code refresh_token {DEVICE_GRANT}"
    add_client(execute, database, "tool", redirect_uris="http://127.0.0.1/", grants=grants)
    return UserAgent(server.url)


@contextmanager
def running(*arguments: str) -> Iterator[IO[str]]:
    """The output of a program, which must end well."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "BROWSER": "true"}
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
            assert process.wait(30) == 0
        finally:
            # It may still wait for its user, and leaving the block waits for it.
            process.kill()


def address_in(output: IO[str]) -> str:
    found = re.match(r"Open (\S+)", output.readline())
    assert found is not None
    return found[1]


def test_a_command_line_tool_signs_in_by_a_code(
    server: Server, ada: UserAgent, execute: Sql
) -> None:
    with running("examples/command_line.py", server.url, "tool") as output:
        ada.connect(address_in(output))
        assert output.read().splitlines()[-2:] == [
            "You are ada@example.org.",
            "You are signed out.",
        ]
    assert execute(LIVE) == [(0,)]


def test_a_command_line_tool_signs_in_by_a_browser(
    server: Server, ada: UserAgent, execute: Sql
) -> None:
    with running("examples/command_line.py", server.url, "tool", "--browser") as output:
        requests.get(ada.allow(address_in(output)), timeout=10)
        assert output.read().splitlines() == ["You are ada@example.org.", "You are signed out."]
    assert execute(LIVE) == [(0,)]


def test_a_client_discovers_everything_from_the_address_of_an_api(
    server: Server, ada: UserAgent, execute: Sql
) -> None:
    give_role(execute, "admin")
    login = requests.post(
        f"{server.url}/login",
        json={"email": "ada@example.org", "password": PASSWORD},
        timeout=10,
    ).json()
    key = requests.post(
        f"{server.url}/api-keys",
        headers={"Authorization": f"Bearer {login['access_token']}"},
        json={"name": "API", "scopes": ["introspect"]},
        timeout=10,
    ).json()["key"]
    with serving("examples.discovering_client:app", server, API_KEY=key) as api:
        address = f"{api.url}/greeting"
        with running("-m", "examples.discovering_client", address, "tool") as output:
            requests.get(ada.allow(address_in(output)), timeout=10)
            assert output.read() == "Hello, Ada!\n"
    assert execute(LIVE) == [(0,)]


def test_a_server_rendered_application_keeps_the_tokens_of_its_users(
    server: Server, ada: UserAgent, execute: Sql, database: str
) -> None:
    port = free_port()
    callback = f"http://127.0.0.1:{port}/callback"
    add_client(execute, database, "shop", secret=SECRET, redirect_uris=callback, scopes="account")
    with (
        serving("examples.server_rendered:app", server, port, CLIENT_SECRET=SECRET) as shop,
        requests.Session() as browser,
    ):
        assert "not signed in" in browser.get(shop.url, timeout=10).text
        begun = browser.get(f"{shop.url}/login", allow_redirects=False, timeout=10)
        arrived = ada.allow(begun.headers["location"])
        assert "You are ada@example.org." in browser.get(arrived, timeout=10).text
        # The code and the state are used up, and belong to this browser.
        assert browser.get(arrived, timeout=10).status_code == 400
        assert execute(LIVE) == [(1,)]
        begun = browser.get(f"{shop.url}/login", allow_redirects=False, timeout=10)
        browser.get(ada.allow(begun.headers["location"]), timeout=10)
        execute("DELETE FROM oauth_clients WHERE id = 'shop'")
        assert "You are signed out" in browser.get(shop.url, timeout=10).text
    assert count(execute, "sessions WHERE oauth_client_id = 'shop'") == 0


@contextmanager
def serving(
    application: str, server: Server, port: int | None = None, **environment: str
) -> Iterator[Server]:
    port = port or free_port()
    here = {"SERVICE": server.url, "HERE": f"http://127.0.0.1:{port}"}
    command = [sys.executable, "-m", "uvicorn", application, "--port", "{port}"]
    launch: Callable[..., Any] = Server.launch
    with launch(
        command=command, environment={**here, **environment}, port=port, live_path="/openapi.json"
    ) as running_application:
        yield running_application
