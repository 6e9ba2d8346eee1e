"""POST /introspect to the letter of RFC 7662, and its callers to that of RFC 6749 and 6750."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from api.dependencies import CurrentIdentity
from counterfoil import tokens as token_format
from counterfoil.identity import Identity
from counterfoil.introspection import answer
from counterfoil.tokens import TokenKind
from tests.support.administrator import Sql, give_role, take_role
from tests.support.client import Client, MakeApp, MakeClient

pytestmark = pytest.mark.one_database

INACTIVE = b'{"active":false}'


@pytest.fixture
def key(client: Client, sql: Sql) -> str:
    """A key with the scope `introspect`, of an administrator."""
    return make_key(client, sql)


def make_key(client: Client, sql: Sql) -> str:
    client.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    root = client.log_in("root@example.org")
    made: str = client.create_api_key(root, scopes=["introspect"])["key"]
    return made


def ask(client: Client, key: str, token: str, **form: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    return client.http.post("/introspect", headers=headers, data={"token": token, **form})


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def test_an_access_token_is_described(client: Client, key: str, sql: Sql) -> None:
    client.register(username="ada")
    give_role(sql, "moderator")
    tokens = client.log_in(client_id="Ada's phone")

    answer = ask(client, key, tokens.access_token)

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert body["exp"] - body["iat"] in (tokens.expires_in, tokens.expires_in + 1)
    times = {name: body.pop(name) for name in TIMES}
    assert (int(times["issued_at"]), int(times["expires_at"])) == (times["iat"], times["exp"])
    assert times["auth_time"] == int(times["confirmed_at"])
    assert times["user_created_at"] <= times["issued_at"] <= times["looked_up_at"]
    assert body == {
        "active": True,
        "acr": "aal1",
        "amr": ["pwd"],
        "scope": "account moderate",
        "client_id": "Ada's phone",
        "username": "ada",
        "token_type": "Bearer",
        "sub": "2",
        "iss": "http://127.0.0.1:8000",
        "sid": client.sessions(tokens)[0]["id"],
        "kind": "access_token",
        "email": "ada@example.org",
        "preferred_username": "ada",
        "name": "Ada",
        "roles": ["moderator", "user"],
        "user_roles": ["moderator", "user"],
        "access_token_id": 2,
    }


TIMES = (
    *("iat", "exp", "auth_time", "issued_at", "expires_at", "confirmed_at", "looked_up_at"),
    *("user_created_at", "user_updated_at"),
)


@pytest.mark.parametrize("is_api_key", [False, True])
def test_the_answer_holds_all_that_a_lookup_finds(
    make_app: MakeApp, make_client: MakeClient, sql: Sql, is_api_key: bool
) -> None:
    app = make_app()
    identities: list[Identity] = []

    @app.get("/identity")
    async def read_identity(identity: CurrentIdentity) -> None:
        identities.append(identity)

    client = make_client(app)
    key = make_key(client, sql)
    client.register(username="ada", surname="Lovelace", website="https://example.org/ada")
    give_role(sql, "moderator")
    tokens = client.log_in(client_id="Ada's phone", scope="account")
    token = client.create_api_key(tokens)["key"] if is_api_key else tokens.access_token
    client.http.get("/identity", headers={"Authorization": f"Bearer {token}"})

    told = answer.read(ask(client, key, token).content)

    assert told is not None
    assert told.looked_up_at >= identities[0].looked_up_at
    assert told._replace(looked_up_at=0.0) == identities[0]._replace(looked_up_at=0.0)


def test_what_there_is_not_is_left_out(client: Client, key: str, sql: Sql) -> None:
    ada = client.sign_up()
    endless = client.create_api_key(ada, name="Endless")["key"]
    sql("UPDATE api_keys SET expires_at = NULL WHERE name = 'Endless'")

    body = ask(client, key, endless).json()

    assert body["active"] is True
    assert (body["username"], body["scope"]) == ("ada@example.org", "")
    assert body.keys().isdisjoint({"client_id", "exp", "sid"})


def test_the_issuer_comes_from_the_settings(make_client: Callable[..., Client], sql: Sql) -> None:
    client = make_client(issuer="https://auth.example.org/tokens/")
    key = make_key(client, sql)
    headers = {"X-API-Key": key, "Host": "evil.example"}
    answer = client.http.post("/introspect", headers=headers, data={"token": key})
    assert answer.json()["iss"] == "https://auth.example.org/tokens"


def test_whatever_is_not_live_is_inactive_and_no_more_is_said(
    client: Client, key: str, sql: Sql
) -> None:
    ada = client.sign_up()
    gone = client.sign_up("gone@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'gone@example.org'")
    client.http.post("/logout", headers=ada.headers)
    unknown = token_format.create(TokenKind.ACCESS).text
    tokens = (ada.access_token, gone.access_token, unknown, "cfa_", "ä", "\ud7ff" * 3, "x" * 10_000)

    answers = [ask(client, key, token) for token in tokens]

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, INACTIVE)}


def test_a_refresh_token_is_inactive_for_it_opens_nothing(client: Client, key: str) -> None:
    assert ask(client, key, client.sign_up().refresh_token).content == INACTIVE


def test_an_expired_token_is_inactive(client: Client, key: str, sql: Sql) -> None:
    token = client.sign_up().access_token
    sql("UPDATE access_tokens SET expires_at = created_at")
    assert ask(client, key, token).content == INACTIVE


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM access_tokens",
        "UPDATE sessions SET revoked_at = created_at",
        "UPDATE users SET session_epoch = session_epoch + 1",
    ],
)
def test_a_token_revoked_by_sql_is_inactive_at_once(
    client: Client, key: str, sql: Sql, statement: str
) -> None:
    token = client.sign_up().access_token
    assert ask(client, key, token).json()["active"] is True
    sql(statement)
    assert ask(client, key, token).content == INACTIVE


def test_the_scope_is_what_the_roles_give_now(client: Client, key: str, sql: Sql) -> None:
    token = client.sign_up().access_token
    give_role(sql, "moderator")
    assert ask(client, key, token).json()["scope"] == "account moderate"
    take_role(sql, "moderator")
    assert ask(client, key, token).json()["scope"] == "account"


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
def test_a_hint_changes_nothing(client: Client, key: str, hint: str) -> None:
    token = client.sign_up().access_token
    assert ask(client, key, token, token_type_hint=hint).json()["active"] is True


def test_the_caller_may_send_the_key_in_any_of_the_ways(client: Client, key: str) -> None:
    form = {"token": key}
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer {key}"},
        {"X-API-Key": key},
        {"Token": key},
        basic("any name", key),
        basic("", key),
    ):
        answer = client.http.post("/introspect", headers=headers, data=form)
        assert (answer.status_code, answer.json()["active"]) == (200, True)


def test_a_session_with_the_scope_may_ask_too(client: Client, key: str) -> None:
    assert ask(client, client.log_in("root@example.org").access_token, key).json()["active"] is True


@pytest.mark.parametrize("live", [False, True])
def test_nobody_without_a_live_key_learns_anything(client: Client, key: str, live: bool) -> None:
    token = key if live else token_format.create(TokenKind.API_KEY).text
    dead = token_format.create(TokenKind.API_KEY).text

    def answer(headers: dict[str, str]) -> tuple[int, str, str]:
        refused = client.http.post("/introspect", headers=headers, data={"token": token})
        challenge = refused.headers["www-authenticate"]
        return refused.status_code, refused.json()["error"], challenge

    invalid = 'Bearer error="invalid_token"'
    assert answer({}) == (401, "invalid_client", "Bearer")
    assert answer({"Authorization": f"Bearer {dead}"}) == (401, "invalid_client", invalid)
    assert answer({"X-API-Key": "nonsense"}) == (401, "invalid_client", invalid)
    assert answer(basic("x", dead)) == (401, "invalid_client", 'Basic realm="counterfoil"')
    assert answer(basic("x", "")) == (401, "invalid_client", 'Basic realm="counterfoil"')
    assert answer({"Authorization": "Digest x"}) == (401, "invalid_client", "Bearer")


def test_the_key_itself_is_refused_once_it_is_revoked(client: Client, key: str, sql: Sql) -> None:
    sql("UPDATE api_keys SET revoked_at = created_at")
    assert ask(client, key, key).status_code == 401


@pytest.mark.parametrize("live", [False, True])
def test_a_key_without_the_scope_learns_nothing(client: Client, key: str, live: bool) -> None:
    ada = client.sign_up()
    powerless = client.create_api_key(ada)["key"]
    token = ada.access_token if live else "cfa_nonsense"

    for headers in ({"X-API-Key": powerless}, ada.headers, basic("x", powerless)):
        refused = client.http.post("/introspect", headers=headers, data={"token": token})
        assert refused.status_code == 403
        assert refused.json()["error"] == "insufficient_scope"
        expected = 'Bearer error="insufficient_scope", scope="introspect"'
        assert refused.headers["www-authenticate"] == expected


def test_two_different_credentials_are_one_too_many(client: Client, key: str) -> None:
    other = token_format.create(TokenKind.API_KEY).text
    for first in (basic("x", other), {"Authorization": f"Bearer {other}"}):
        headers = {**first, "X-API-Key": key}
        refused = client.http.post("/introspect", headers=headers, data={"token": key})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token=a&token=b", b"token=%ff", b"token=%00", b"&" * 60 + b"token=a"]
)
def test_a_form_that_is_wrong_is_an_invalid_request(client: Client, key: str, body: bytes) -> None:
    headers = {"X-API-Key": key, "Content-Type": "application/x-www-form-urlencoded"}
    if body.startswith(b"&"):
        body = body.replace(b"&", b"a=1&")
    refused = client.http.post("/introspect", headers=headers, content=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_neither_the_query_string_nor_json_nor_get_will_do(client: Client, key: str) -> None:
    headers = {"X-API-Key": key}
    query = {"token": key}
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    in_query = client.http.post("/introspect", headers={**headers, **form}, params=query)
    in_json = client.http.post("/introspect", headers=headers, json=query)
    by_get = client.http.get("/introspect", headers=headers, params=query)

    assert in_query.json()["error"] == in_json.json()["error"] == "invalid_request"
    assert (by_get.status_code, by_get.headers["allow"]) == (405, "POST")


def test_a_password_is_no_key(client: Client, key: str) -> None:
    refused = client.http.post(
        "/introspect",
        headers=basic("root@example.org", "correct horse battery staple"),
        data={"token": key},
    )
    assert refused.status_code == 401
