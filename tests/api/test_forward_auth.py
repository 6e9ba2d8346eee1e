"""What a reverse proxy is told, and that nobody can talk it into more."""

import time
from collections.abc import Callable
from itertools import product
from urllib.parse import unquote
from uuid import uuid4

import pytest
from httpx2 import Response

from database import migrations
from harness.postgresql import DatabaseServer
from tests.support.administrator import Sql
from tests.support.client import Client, Tokens

pytestmark = pytest.mark.one_database

NAMES = ("user", "email", "roles", "scopes", "session", "client", "time", "acr", "amr")
HEADERS = {f"x-auth-{name}" for name in NAMES}


def verify(client: Client, tokens: Tokens, query: str = "", path: str = "/verify") -> Response:
    return client.http.get(f"{path}?{query}", headers=tokens.headers)


def identity(response: Response) -> dict[str, str]:
    """The headers about the identity; all of them are always there."""
    found = {name: value for name, value in response.headers.items() if name.startswith("x-auth")}
    assert set(found) == HEADERS
    assert response.content == b""
    return found


def test_the_proxy_learns_who_it_is(client: Client) -> None:
    client.sign_up()
    tokens = client.log_in(client_id="phone")

    found = identity(verify(client, tokens))

    assert found == {
        "x-auth-user": "1",
        "x-auth-email": "ada@example.org",
        "x-auth-roles": "user",
        "x-auth-scopes": "account",
        "x-auth-session": client.sessions(tokens)[0]["id"],
        "x-auth-client": "phone",
        "x-auth-time": found["x-auth-time"],
        "x-auth-acr": "aal1",
        "x-auth-amr": "pwd",
    }
    assert time.time() - 60 < int(found["x-auth-time"]) <= time.time()


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
PATHS = ["/verify", "/verify/", "/verify//a/../b", "/verify/%0A/%00/%FF"]


def test_any_method_and_any_path_below_is_verified_alike(client: Client) -> None:
    tokens = client.sign_up()

    for method, path in product(METHODS, PATHS):
        allowed = client.http.request(method, path, headers=tokens.headers)
        refused = client.http.request(method, path)

        assert (allowed.status_code, identity(allowed)["x-auth-user"]) == (200, "1"), (method, path)
        assert (refused.status_code, set(identity(refused).values())) == (401, {""}), (method, path)


def test_other_paths_are_not_taken_for_it(client: Client) -> None:
    tokens = client.sign_up()

    assert verify(client, tokens, path="/verifyx").status_code == 404
    assert verify(client, tokens, path="/x/verify").status_code == 404


def test_what_is_no_visible_ascii_is_percent_encoded(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    for character in ("\r\nX-Auth-Roles: admin", "é", "\u2028", "日本", "100%", "\t"):
        # The service takes no line break in a label, but SQL does.
        sql(f"UPDATE sessions SET client_id = 'a{character}z'")

        found = identity(verify(client, tokens))

        label = found["x-auth-client"]
        assert label.isascii()
        assert not set(label) & set("\r\n\t ")
        assert unquote(label) == f"a{character}z"
        assert found["x-auth-roles"] == "user"


def test_names_of_roles_cannot_break_out_of_their_list(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql("INSERT INTO roles (name, scopes) VALUES ('é\r\nx y', 'ü:read a:b')")
    sql("INSERT INTO user_roles SELECT 1, id FROM roles WHERE name LIKE '%x y'")

    found = identity(verify(client, tokens))

    assert found["x-auth-roles"] == "user,%C3%A9%0D%0Ax%20y"
    assert found["x-auth-scopes"] == "a:b account %C3%BC:read"


DEMANDS = {
    "scope=account": 200,
    "scope=account+moderate": 403,
    "scope=account&scope=moderate": 403,
    "scope=moderate&scope=account": 403,
    "scope=account%20account": 200,
    "scope=": 403,
    "scope": 403,
    "role=user": 200,
    "role=moderator": 403,
    "role=user&role=moderator": 403,
    "role=moderator&role=user": 403,
    "role=": 403,
    "role=user&scope=account": 200,
    "role=user&scope=moderate": 403,
    "scope=moderate&x=%FF%00&scope=account": 403,
    "scope=%FF": 403,
    "scope=moderate;scope=account": 403,
    "x=1&access_token=2": 200,
}


def test_all_that_is_demanded_must_be_there(client: Client) -> None:
    """Whatever a client gets to add, before or behind, can only add to the demands."""
    tokens = client.sign_up()

    for query, status in DEMANDS.items():
        answer = verify(client, tokens, query)

        assert answer.status_code == status, query
        assert (identity(answer)["x-auth-user"] == "1") is (status == 200)


def test_a_demand_names_the_missing_scope_but_never_breaks_the_challenge(client: Client) -> None:
    tokens = client.sign_up()
    plain = verify(client, tokens, "scope=orders:read")
    hostile = verify(client, tokens, "scope=a%22,%20realm=%22b%0D%0AX-Evil:1")

    challenge = 'Bearer error="insufficient_scope"'
    assert plain.headers["www-authenticate"] == f'{challenge}, scope="orders:read"'
    assert hostile.status_code == 403
    assert hostile.headers["www-authenticate"] == challenge
    assert "x-evil" not in hostile.headers


def test_a_demotion_holds_for_the_next_request(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql("INSERT INTO user_roles SELECT 1, id FROM roles WHERE name = 'moderator'")
    assert verify(client, tokens, "role=moderator&scope=moderate").status_code == 200

    sql("DELETE FROM user_roles WHERE role_id = (SELECT id FROM roles WHERE name = 'moderator')")

    assert verify(client, tokens, "scope=moderate").status_code == 403
    assert verify(client, tokens, "role=moderator").status_code == 403


def test_a_refusal_carries_the_challenge_and_no_identity(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql("UPDATE sessions SET revoked_at = created_at")

    unknown = verify(client, tokens)
    none = client.http.get("/verify")
    two = client.http.get("/verify", headers={**tokens.headers, "X-API-Key": "another"})

    assert [answer.status_code for answer in (unknown, none, two)] == [401, 401, 401]
    assert [answer.headers["www-authenticate"] for answer in (unknown, none, two)] == [
        'Bearer error="invalid_token"',
        "Bearer",
        'Bearer error="invalid_request"',
    ]
    for answer in (unknown, none, two):
        assert set(identity(answer).values()) == {""}


def test_a_token_in_the_query_string_is_not_taken(client: Client) -> None:
    tokens = client.sign_up()

    assert client.http.get(f"/verify?access_token={tokens.access_token}").status_code == 401


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_the_database_nobody_is_let_in(
    make_client: Callable[..., Client], postgresql: DatabaseServer
) -> None:
    name = f"verify_{uuid4().hex}"
    url = postgresql.create_database(name)
    migrations.upgrade(url)
    client = make_client(database_url=url, database_deadline_seconds=1)
    tokens = client.sign_up()

    postgresql.drop_database(name)
    refused = verify(client, tokens)

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert set(identity(refused).values()) == {""}


def test_the_description_has_one_operation_for_every_method_and_the_headers(client: Client) -> None:
    paths = client.http.get("/openapi.json").json()["paths"]

    for path in ("/verify", "/verify/{path}"):
        (operation,) = paths[path].values()
        assert set(operation["responses"]) == {"200", "401", "403", "503"}
        described = operation["responses"]["200"]["headers"]
        assert {name.lower() for name in described} == HEADERS
        assert {"Bearer": []} in operation["security"]
