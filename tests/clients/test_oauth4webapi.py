"""oauth4webapi, an OAuth client from the world of JavaScript, against a service of its own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.processes import free_port
from harness.programs import require_node_package, require_program
from harness.server import Server
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD

SCRIPT = Path(__file__).with_name("oauth4webapi.mjs")
EMAIL = "ada@example.org"


@pytest.fixture
def server(database_url: str) -> Iterator[Server]:
    port = free_port()
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_ISSUER": f"http://127.0.0.1:{port}",
    }
    with Server.launch(database_url, environment=environment, port=port) as running:
        yield running


def make_key(server: Server, sql: Sql) -> str:
    account = {"email": EMAIL, "password": PASSWORD, "name": "Ada"}
    requests.post(f"{server.url}/register", json=account, timeout=10).raise_for_status()
    give_role(sql, "admin")
    login = requests.post(
        f"{server.url}/login", json={"email": EMAIL, "password": PASSWORD}, timeout=10
    ).json()
    made: dict[str, str] = requests.post(
        f"{server.url}/api-keys",
        headers={"Authorization": f"Bearer {login['access_token']}"},
        json={"name": "oauth4webapi", "scopes": ["introspect"]},
        timeout=10,
    ).json()
    return made["key"]


def walk(server: Server, key: str) -> dict[str, Any]:
    node, package = require_program("node"), require_node_package("oauth4webapi")
    arguments = [node, str(SCRIPT), str(package), server.url, EMAIL, PASSWORD, key]
    finished = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    results: dict[str, Any] = json.loads(finished.stdout)
    return results


def test_it_discovers_logs_in_refreshes_introspects_and_revokes(server: Server, sql: Sql) -> None:
    results = walk(server, make_key(server, sql))

    live = results.pop("live")
    assert (live["active"], live["client_id"], live["scope"]) == (True, "oauth4webapi", "account")
    assert live["iss"] == server.url
    assert results == {
        "issuer": server.url,
        "scope": "account",
        "me": EMAIL,
        # The scheme of the challenge, which it reads before the body.
        "stranger": "basic",
        "revoked": {"active": False},
        "refreshed": "invalid_grant",
    }
