"""OAuth clients that no one here wrote, as registered clients, against one service."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from requests_oauthlib import OAuth2Session

from harness.processes import free_port
from harness.programs import NODE_PACKAGES, require_node_package, require_program
from harness.server import Server
from tests.support.administrator import Sql, give_role, run_sql, user_id
from tests.support.oauth import CALLBACK, DEVICE_GRANT, SECRET, add_client
from tests.support.user_agent import UserAgent

SCRIPTS = Path(__file__).parent
EMAIL = "ada@example.org"
GRANTS = f"authorization_code refresh_token client_credentials {DEVICE_GRANT}"


@pytest.fixture(scope="module")
def database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("code-flow") / "counterfoil.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


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
def ada(server: Server, database: str) -> UserAgent:
    """Signed in; and there are a confidential and a public client."""
    ada = UserAgent(server.url)

    def sql(statement: str, parameters: Any = ()) -> Any:
        return run_sql(database, statement, parameters)

    register(sql, database)
    return ada


def register(sql: Sql, database: str) -> None:
    give_role(sql, "admin")
    scopes = "account introspect"
    account = user_id(sql)
    add_client(
        sql, database, "server", secret=SECRET, scopes=scopes, grants=GRANTS, account_id=account
    )
    add_client(sql, database, "app", name="App", grants="authorization_code refresh_token")


def walk(script: str, ada: UserAgent, server: Server, *client: str) -> dict[str, Any]:
    """Run a script that asks for a browser, and return what it prints in the end."""
    node = require_program("node")
    arguments = [node, str(SCRIPTS / script), str(NODE_PACKAGES), server.url, *client, CALLBACK]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            return converse(running, ada)
        finally:
            # It may still wait for a browser, and leaving the block waits for it.
            running.kill()


def converse(running: "subprocess.Popen[str]", ada: UserAgent) -> dict[str, Any]:
    """Visit each address that the script prints, until it prints its results."""
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    for line in running.stdout:
        if line.startswith("{"):
            results: dict[str, Any] = json.loads(line)
            return results
        arrived = ""
        if "/device" in line:
            ada.connect(line.strip())
        else:
            arrived = ada.allow(line.strip())
        running.stdin.write(f"{arrived}\n")
        running.stdin.flush()
    raise AssertionError(running.stderr.read())


def test_oauth4webapi(ada: UserAgent, server: Server) -> None:
    require_node_package("oauth4webapi")
    assert walk("oauth4webapi_code.mjs", ada, server, "server", SECRET) == {
        "me": EMAIL,
        "active": True,
        "revoked": False,
        "replayed": "invalid_grant",
        "after_replay": False,
        "pending": "authorization_pending",
        "device": EMAIL,
        "own": "introspect",
    }


def test_openid_client(ada: UserAgent, server: Server) -> None:
    require_node_package("openid-client")
    found = walk("openid_client.mjs", ada, server, "server", SECRET)
    assert found == {"me": EMAIL, "revoked": False, "device": "account", "own": "introspect"}


def test_appauth_js(ada: UserAgent, server: Server) -> None:
    require_node_package("@openid/appauth")
    assert walk("appauth.mjs", ada, server, "app", "") == {"status": 200, "revoked": 401}


def test_authlib(ada: UserAgent, server: Server) -> None:
    for client_id, secret in (("server", SECRET), ("app", None)):
        with AuthlibSession(
            client_id,
            secret,
            token_endpoint=f"{server.url}/token",
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            redirect_uri=CALLBACK,
            scope="account",
            code_challenge_method="S256",
        ) as session:
            verifier = "v" * 48
            address, state = session.create_authorization_url(
                f"{server.url}/authorize", code_verifier=verifier
            )
            arrived = ada.allow(address)
            session.fetch_token(authorization_response=arrived, state=state, code_verifier=verifier)
            session.refresh_token()
            assert session.get(f"{server.url}/users/me").json()["email"] == EMAIL
            revoke: Any = session.revoke_token
            token = session.token["refresh_token"]
            assert revoke(f"{server.url}/revoke", token=token).status_code == 200
            assert session.get(f"{server.url}/users/me").status_code == 401


def test_requests_oauthlib(ada: UserAgent, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with OAuth2Session("server", redirect_uri=CALLBACK, scope=["account"], pkce="S256") as session:
        address, _ = session.authorization_url(f"{server.url}/authorize")
        arrived = ada.allow(address)
        token = session.fetch_token(
            f"{server.url}/token", authorization_response=arrived, client_secret=SECRET
        )
        renewed = session.refresh_token(
            f"{server.url}/token",
            refresh_token=token["refresh_token"],
            auth=("server", SECRET),
        )
        assert session.get(f"{server.url}/users/me").json()["email"] == EMAIL
        # It has no method for it.
        form = {"token": renewed["refresh_token"]}
        revoked = requests.post(
            f"{server.url}/revoke", data=form, auth=("server", SECRET), timeout=9
        )
        assert revoked.status_code == 200
        assert session.get(f"{server.url}/users/me").status_code == 401
