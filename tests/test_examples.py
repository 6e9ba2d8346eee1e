"""The examples run, and do what the README says of them."""

import sys
from collections.abc import Iterator

import httpx2
import pytest

from harness.server import Server
from tests.support.administrator import Sql
from tests.support.client import PASSWORD

COMMAND = [sys.executable, "-m", "uvicorn", "examples.notes:app", "--port", "{port}"]
GIVE_ROLE = """
INSERT INTO user_roles (user_id, role_id)
SELECT users.id, roles.id FROM users, roles WHERE users.email = '{}' AND roles.name = '{}'
"""


@pytest.fixture
def http(database_url: str) -> Iterator[httpx2.Client]:
    quick = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with (
        Server.launch(database_url, command=COMMAND, environment=quick) as server,
        httpx2.Client(base_url=server.url) as client,
    ):
        yield client


def sign_up(http: httpx2.Client, email: str) -> dict[str, str]:
    """Register, log in, and return the header to send."""
    account = {"email": email, "password": PASSWORD, "name": email.partition("@")[0].title()}
    assert http.post("/register", json=account).status_code == 201
    tokens = http.post("/login", json={"email": email, "password": PASSWORD}).json()
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_the_notebook_knows_its_users(http: httpx2.Client, sql: Sql) -> None:
    ada, charles = sign_up(http, "ada@example.org"), sign_up(http, "charles@example.org")

    assert http.post("/notes", json={"text": "Engine"}, headers=ada).status_code == 201
    assert http.get("/notes", headers=ada).json() == ["Engine"]
    assert http.get("/notes", headers=charles).json() == []
    assert http.get("/notes").status_code == 401

    assert http.get("/greeting").json() == "Hello, guest!"
    assert http.get("/greeting", headers=ada).json() == "Hello, Ada!"

    # A role that is given counts for tokens that are out already.
    assert http.delete("/notes/1", headers=charles).json()["code"] == "insufficient_scope"
    sql(GIVE_ROLE.format("charles@example.org", "moderator"))
    assert http.delete("/notes/1", headers=charles).status_code == 200
    assert http.get("/notes", headers=ada).json() == []

    assert http.get("/notes/count", headers=charles).json()["code"] == "insufficient_role"
    sql(GIVE_ROLE.format("charles@example.org", "admin"))
    assert http.get("/notes/count", headers=charles).json() == 0

    assert http.post("/logout", headers=ada).status_code == 204
    assert http.get("/notes", headers=ada).status_code == 401
    assert http.get("/greeting", headers=ada).status_code == 401


@pytest.mark.one_database
def test_the_description_says_what_the_notebook_demands(http: httpx2.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    moderate = paths["/notes/{user_id}"]["delete"]["security"]
    assert {"Password": ["moderate"]} in moderate
    assert {"X-API-Key": ["moderate"]} in moderate
    assert "security" not in paths["/login"]["post"]
