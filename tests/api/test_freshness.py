"""A session may do what outlives it only shortly after its user has given the password."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from httpx2 import Response

from api.dependencies import CurrentIdentity, fresh
from counterfoil.identity import Identity
from tests.support.administrator import Sql, events, give_role, insert_user
from tests.support.client import PASSWORD, Client, MakeClient, Tokens
from tests.support.clock import Clock
from tests.support.console import ConsoleClient

pytestmark = pytest.mark.one_database

# Another value than the default, and than any other setting has.
FRESH_SECONDS = 77

Request = Callable[[Client, Tokens], Response]
Settings = dict[str, Any]


def request(method: str, path: str, body: Any = None) -> Request:
    return lambda client, tokens: client.http.request(
        method, path, json=body, headers=tokens.headers
    )


GRACE = 2
# All of them are in test_fresh_actions.py.
DEMANDING: dict[str, Request] = {
    "create an API key": request("POST", "/api-keys", {"name": "Another"}),
    "change the username": request("PATCH", "/users/me", {"username": "another"}),
    "change roles": request("PATCH", f"/admin/users/{GRACE}", {"roles": ["moderator"]}),
    "delete the account": request("DELETE", "/users/me"),
}
HARMLESS: dict[str, Request] = {
    "change the name": request("PATCH", "/users/me", {"name": "Another"}),
    "repeat the username": request("PATCH", "/users/me", {"username": "ada"}),
    "repeat the address": request("PATCH", "/users/me", {"email": "ada@example.org"}),
    "list sessions": request("GET", "/sessions"),
    "revoke sessions of a user": request("DELETE", f"/admin/users/{GRACE}/sessions"),
    "revoke one's own other sessions": request("DELETE", "/sessions?keep_current=true"),
    "log out": request("POST", "/logout"),
}


@pytest.fixture
def clock(database_url: str) -> Clock:
    return Clock(database_url)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(fresh_seconds=FRESH_SECONDS)


@pytest.fixture
def confirmed_ago(sql: Sql, clock: Clock) -> Callable[[int], object]:
    """Sets when the password was last given, in all sessions."""
    return lambda seconds: sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-seconds)}")


@pytest.fixture
def ada(client: Client, sql: Sql) -> Tokens:
    """An administrator, beside Grace."""
    tokens = client.sign_up(username="ada")
    give_role(sql, "admin")
    assert insert_user(sql, "grace@example.org") == GRACE
    give_role(sql, "admin", "grace@example.org")
    return tokens


@pytest.mark.parametrize("demanding", DEMANDING.values(), ids=DEMANDING)
def test_what_outlives_a_session_takes_a_recent_password(
    client: Client, ada: Tokens, demanding: Request, confirmed_ago: Callable[[int], object]
) -> None:
    confirmed_ago(FRESH_SECONDS + 1)
    refused = demanding(client, ada)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == (
        f'Bearer error="insufficient_user_authentication", max_age="{FRESH_SECONDS}"'
    )
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "insufficient_user_authentication"

    confirmed = client.http.post(
        "/sessions/confirm", json={"password": PASSWORD}, headers=ada.headers
    )
    assert (confirmed.status_code, confirmed.content) == (204, b"")
    assert demanding(client, ada).status_code in {200, 201, 204}


@pytest.mark.parametrize("demanding", DEMANDING.values(), ids=DEMANDING)
def test_a_login_is_fresh_for_as_long_as_the_setting_says(
    client: Client, ada: Tokens, demanding: Request, confirmed_ago: Callable[[int], object]
) -> None:
    confirmed_ago(FRESH_SECONDS - 30)
    assert demanding(client, ada).status_code in {200, 201, 204}


@pytest.mark.parametrize("harmless", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_takes_none(
    client: Client, ada: Tokens, harmless: Request, confirmed_ago: Callable[[int], object]
) -> None:
    confirmed_ago(FRESH_SECONDS + 1)
    assert harmless(client, ada).status_code in {200, 204}


def test_a_session_that_was_never_confirmed_is_not_fresh(
    client: Client, ada: Tokens, sql: Sql
) -> None:
    sql("UPDATE sessions SET confirmed_at = NULL")
    for demanding in DEMANDING.values():
        assert demanding(client, ada).status_code == 401


def test_a_refresh_makes_no_session_fresh(
    client: Client, ada: Tokens, confirmed_ago: Callable[[int], object]
) -> None:
    confirmed_ago(FRESH_SECONDS + 1)
    renewed = client.refresh(ada.refresh_token).json()["access_token"]
    headers = {"Authorization": f"Bearer {renewed}"}
    assert client.http.delete("/users/me", headers=headers).status_code == 401


def test_a_confirmation_counts_for_its_own_session_alone(
    client: Client, ada: Tokens, confirmed_ago: Callable[[int], object]
) -> None:
    other = client.log_in()
    confirmed_ago(FRESH_SECONDS + 1)
    client.http.post("/sessions/confirm", json={"password": PASSWORD}, headers=other.headers)
    assert client.http.delete("/users/me", headers=ada.headers).status_code == 401
    assert client.http.delete("/users/me", headers=other.headers).status_code == 204


def test_a_wrong_password_confirms_nothing_and_is_counted(
    make_client: MakeClient, sql: Sql, clock: Clock
) -> None:
    client = make_client(login_attempts_per_account=3)
    tokens = client.sign_up()
    sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-301)}")

    def confirm(password: str) -> Response:
        body = {"password": password}
        return client.http.post("/sessions/confirm", json=body, headers=tokens.headers)

    assert [confirm("wrong").status_code for _ in range(4)] == [403, 403, 403, 429]
    assert confirm(PASSWORD).status_code == 429
    assert client.http.delete("/users/me", headers=tokens.headers).status_code == 401
    assert events(sql).count("user.password_refused") == 3


def test_only_a_session_that_was_not_narrowed_is_confirmed(client: Client, sql: Sql) -> None:
    client.register()
    give_role(sql, "moderator")
    narrowed = client.log_in(scope="moderate")
    key = client.create_api_key(client.log_in())["key"]
    for headers in (narrowed.headers, {"X-API-Key": key}):
        body = {"password": PASSWORD}
        assert client.http.post("/sessions/confirm", json=body, headers=headers).status_code == 403
    unknown = {"password": PASSWORD, "remember": True}
    tokens = client.log_in()
    answer = client.http.post("/sessions/confirm", json=unknown, headers=tokens.headers)
    assert answer.status_code == 422


def test_a_password_in_the_request_itself_is_proof_enough(
    client: Client, ada: Tokens, confirmed_ago: Callable[[int], object]
) -> None:
    for method, path, body in (
        ("PATCH", "/users/me", {"username": "countess", "current_password": PASSWORD}),
        ("PATCH", "/users/me", {"email": "c@example.org", "current_password": PASSWORD}),
        ("PUT", "/users/me/password", {"current_password": PASSWORD, "new_password": PASSWORD * 2}),
    ):
        confirmed_ago(FRESH_SECONDS + 1)
        answer = request(method, path, body)(client, ada)
        assert answer.status_code == 200, path
    # It has made the session fresh as well, which goes on with new tokens.
    renewed = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.http.delete("/users/me", headers=renewed).status_code == 204


def test_a_wrong_password_with_a_new_username_is_refused_in_a_fresh_session_too(
    client: Client, ada: Tokens
) -> None:
    body = {"username": "countess", "current_password": "wrong"}
    answer = request("PATCH", "/users/me", body)(client, ada)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert client.me(ada).json()["username"] == "ada"


def test_an_api_key_does_what_its_scopes_let_it(
    client: Client, ada: Tokens, confirmed_ago: Callable[[int], object]
) -> None:
    headers = {"X-API-Key": client.create_api_key(ada, scopes=["admin"])["key"]}
    confirmed_ago(FRESH_SECONDS + 1)
    path, body = f"/admin/users/{GRACE}", {"roles": ["moderator"]}
    assert client.http.patch(path, json=body, headers=headers).status_code == 200
    # But it makes no other keys, as ever.
    made = client.http.post("/api-keys", json={"name": "Another"}, headers=headers)
    assert (made.status_code, made.json()["code"]) == (403, "session_required")


@pytest.fixture
def own_routes(make_app: Callable[..., FastAPI]) -> FastAPI:
    """An application with routes of a reader's own."""
    app = make_app(fresh_seconds=FRESH_SECONDS)

    @app.post("/transfer", dependencies=[fresh(seconds=120)])
    async def transfer(identity: CurrentIdentity) -> int:
        return identity.user_id

    @app.post("/vote")
    async def vote(identity: Annotated[Identity, fresh()]) -> int:
        return identity.user_id

    return app


def test_fresh_is_a_dependency_for_a_readers_own_routes(
    make_client: MakeClient, own_routes: FastAPI, confirmed_ago: Callable[[int], object]
) -> None:
    client = make_client(own_routes)
    tokens = client.sign_up()
    key = {"X-API-Key": client.create_api_key(tokens)["key"]}
    answers = {}
    for seconds in (60, 180, 330):
        confirmed_ago(seconds)
        answers[seconds] = [
            client.http.post(path, headers=tokens.headers) for path in ("/transfer", "/vote")
        ]
    statuses = {seconds: [one.status_code for one in found] for seconds, found in answers.items()}
    assert statuses == {60: [200, 200], 180: [401, 200], 330: [401, 401]}
    challenges = [one.headers["www-authenticate"] for one in answers[330]]
    assert [challenge.rpartition(" ")[2] for challenge in challenges] == [
        'max_age="120"',
        'max_age="300"',
    ]
    assert client.http.post("/transfer", headers=key).status_code == 200
    assert client.http.post("/transfer").status_code == 401


def test_the_console_and_the_api_ask_alike(
    make_app: Callable[..., FastAPI], sql: Sql, confirmed_ago: Callable[[int], object]
) -> None:
    console = ConsoleClient(make_app(fresh_seconds=FRESH_SECONDS))
    with console.http:
        Client(console.http).register()
        console.sign_in()
        confirmed_ago(FRESH_SECONDS - 30)
        console.open("/account/api-keys/new")
        console.submit("/account/api-keys/new", name="First", days="30")
        assert console.page.status_code == 200
        confirmed_ago(FRESH_SECONDS + 1)
        console.open("/account/api-keys/new")
        console.submit("/account/api-keys/new", name="Second", days="30")
        assert console.page.status_code == 403
        assert "To make an API key" in console.text
        console.confirm("/account/api-keys/new", "wrong")
        assert "The current password is wrong." in console.text
        console.confirm("/account/api-keys/new")
        assert console.page.status_code == 200
    assert sql("SELECT name FROM api_keys ORDER BY created_at") == [("First",), ("Second",)]
