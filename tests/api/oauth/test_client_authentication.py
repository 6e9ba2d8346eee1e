"""Clients prove who they are: at the token endpoint, for introspection and revocation."""

from base64 import b64encode
from collections.abc import Callable

import pytest

from tests.support.administrator import Sql, give_role, user_id
from tests.support.client import PASSWORD, Client
from tests.support.console import ConsoleClient
from tests.support.oauth import SECRET, Application

pytestmark = pytest.mark.one_database

LOGIN = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


def test_a_secret_comes_by_basic_or_by_form_but_not_by_both(server: Application) -> None:
    http = server.browser.http
    tokens = server.log_in()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for headers, more, error in (
        ({}, {}, "invalid_grant"),
        ({}, {"client_id": "server"}, "invalid_client"),
        ({}, {"client_id": "server", "client_secret": "cfs_wrong"}, "invalid_client"),
        (basic("server", "cfs_wrong"), {}, "invalid_client"),
        (basic("server", ""), {}, "invalid_client"),
        (basic("nobody", SECRET), {}, "invalid_grant"),
        (basic("server", SECRET), {"client_secret": SECRET}, "invalid_request"),
        (basic("server", SECRET), {"client_id": "calendar"}, "invalid_request"),
    ):
        answer = http.post("/token", data={**form, **more}, headers=headers)
        assert answer.json()["error"] == error, (headers, more)
        if error == "invalid_client":
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic")
    answer = http.post(
        "/token", data={**form, "client_id": "server"}, headers=basic("server", SECRET)
    )
    assert answer.status_code == 200


def test_a_public_client_has_no_secret_and_a_disabled_one_gets_nothing(
    calendar: Application, sql: Sql
) -> None:
    tokens = calendar.log_in()
    wrong = calendar.refresh(tokens["refresh_token"], client_secret="cfs_made-up")
    assert wrong.json()["error"] == "invalid_client"
    sql("UPDATE oauth_clients SET disabled_at = CURRENT_TIMESTAMP")
    assert calendar.refresh(tokens["refresh_token"]).json()["error"] == "invalid_client"
    sql("UPDATE oauth_clients SET disabled_at = NULL, grants = 'authorization_code'")
    assert calendar.refresh(tokens["refresh_token"]).json()["error"] == "unauthorized_client"


def test_a_label_that_is_a_registered_id_has_to_authenticate(
    ada: ConsoleClient, api: Client, register: Callable[..., None], sql: Sql
) -> None:
    label = api.log_in(client_id="legacy")
    register("legacy", grants="password refresh_token", secret=SECRET, scopes="account moderate")
    give_role(sql, "moderator")
    assert api.refresh(label.refresh_token, client_id="legacy").status_code == 401
    assert api.http.post("/token", data={**LOGIN, "client_id": "legacy"}).status_code == 401
    refused = api.try_to_log_in(client_id="legacy")
    assert (refused.status_code, refused.json()["code"]) == (403, "invalid_client")

    legacy = Application(ada, "legacy", SECRET)
    tokens = legacy.post("/token", **LOGIN).json()
    assert tokens["scope"] == "account moderate"
    assert legacy.post("/token", **LOGIN, scope="admin").json()["error"] == "invalid_scope"
    sql("DELETE FROM oauth_clients")
    assert legacy.call(tokens) == 401
    register("web")
    web = api.http.post("/token", data={**LOGIN, "client_id": "web"})
    assert web.json()["error"] == "unauthorized_client"


def test_a_client_gets_tokens_for_its_own_account(
    ada: ConsoleClient, api: Client, register: Callable[..., None], sql: Sql
) -> None:
    api.register("robot@example.org")
    give_role(sql, "moderator", "robot@example.org")
    robot = user_id(sql, "robot@example.org")
    grants, scopes = "client_credentials", "account moderate admin"
    register("robot", secret=SECRET, grants=grants, scopes=scopes, account_id=robot)
    client = Application(ada, "robot", SECRET)
    form = {"grant_type": grants}
    tokens = client.post("/token", **form).json()
    # Not `account`, with which it could change the password of the account.
    assert (tokens["scope"], tokens.keys() & {"refresh_token"}) == ("moderate", set())
    assert client.call(tokens) == 200
    for scope in ("account", "admin", "unknown"):
        assert client.post("/token", **form, scope=scope).json()["error"] == "invalid_scope"
    assert client.post("/token", **form, client_secret="cfs_x").status_code == 401
    sql(f"UPDATE users SET is_active = false WHERE id = {robot}")
    assert client.call(tokens) == 401
    assert client.post("/token", **form).json()["error"] == "unauthorized_client"
    sql(f"DELETE FROM users WHERE id = {robot}")
    assert client.post("/token", **form).json()["error"] == "unauthorized_client"


def test_a_client_gets_so_many_tokens_for_its_own_account_in_a_minute(
    make_console: Callable[..., ConsoleClient], register: Callable[..., None], sql: Sql
) -> None:
    browser = make_console(writes_per_minute=3)
    Client(browser.http).register("robot@example.org")
    robot = user_id(sql, "robot@example.org")
    own = {"secret": SECRET, "grants": "client_credentials", "account_id": robot}
    register("robot", **own)
    register("other", **own)
    form = {"grant_type": "client_credentials"}

    def ask(name: str) -> int:
        return Application(browser, name, SECRET).post("/token", **form).status_code

    assert [ask("robot") for _ in range(5)] == [200] * 3 + [429] * 2
    assert sql("SELECT count(*) FROM sessions") == [(3,)]
    assert ask("other") == 200


def test_a_registered_client_introspects_if_its_scopes_say_so(
    server: Application, calendar: Application, register: Callable[..., None]
) -> None:
    tokens = calendar.log_in()
    assert server.post("/introspect", token=tokens["access_token"]).status_code == 403
    register("api", secret=SECRET, scopes="introspect", grants="")
    resource = Application(server.browser, "api", SECRET)
    found = resource.post("/introspect", token=tokens["access_token"]).json()
    assert (found["active"], found["client_id"], found["scope"]) == (True, "calendar", "account")
    http = server.browser.http
    by_basic = http.post("/introspect", data={"token": "cfa_unknown"}, headers=basic("api", SECRET))
    assert by_basic.json() == {"active": False}
    for wrong in (basic("api", "cfs_wrong"), basic("nobody", SECRET)):
        answer = http.post("/introspect", data={"token": "x"}, headers=wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_client_that_names_itself_to_revoke_has_to_prove_it(server: Application) -> None:
    tokens = server.log_in()
    wrong = server.post("/revoke", token=tokens["refresh_token"], client_secret="cfs_wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert server.call(tokens) == 200
    assert server.post("/revoke", token=tokens["refresh_token"]).status_code == 200
    assert server.call(tokens) == 401


def test_guesses_at_secrets_are_limited(server: Application) -> None:
    statuses = [
        server.post("/device_authorization", client_secret="cfs_wrong").status_code
        for _ in range(121)
    ]
    assert (statuses.count(401), statuses[-1]) == (120, 429)
    # Others from the same network are not affected yet.
    assert server.post("/device_authorization").status_code == 200
