"""Scopes: narrowed at login, never widened by a refresh, cut by every demotion at once."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import FastAPI

from api.dependencies import requires, requires_role
from counterfoil.identity import Identity
from tests.support.administrator import Sql, give_role, take_role, user_id
from tests.support.client import Client, Tokens, read_tokens

pytestmark = pytest.mark.one_database


@pytest.fixture
def client(make_app: Callable[..., FastAPI], make_client: Callable[..., Client]) -> Client:
    """A service with a route of a reader's own for each demand."""
    app = make_app()

    @app.get("/moderation")
    def moderate(identity: Annotated[Identity, requires("moderate")]) -> int:
        return identity.user_id

    @app.get("/both", dependencies=[requires("moderate", "account")])
    def both() -> None: ...

    @app.get("/roles", dependencies=[requires_role("moderator", "admin")])
    def roles() -> None: ...

    return make_client(app)


@pytest.fixture
def moderator(client: Client, sql: Sql) -> Tokens:
    client.register()
    give_role(sql, "moderator")
    return client.log_in()


def status(client: Client, tokens: Tokens, path: str) -> int:
    return client.http.get(path, headers=tokens.headers).status_code


def test_a_login_has_what_the_roles_give_unless_it_asks_for_less(
    client: Client, moderator: Tokens
) -> None:
    assert moderator.scope == "account moderate"
    narrowed = client.log_in(scope="moderate moderate")
    assert narrowed.scope == "moderate"
    assert status(client, narrowed, "/moderation") == 200
    assert status(client, narrowed, "/both") == 403
    assert status(client, narrowed, "/sessions") == 403


@pytest.mark.parametrize("scope", ["admin", "moderate admin", "unknown", "Moderate", "*", "%"])
def test_a_login_that_asks_for_more_is_an_invalid_scope_and_no_session(
    client: Client, moderator: Tokens, scope: str
) -> None:
    form = {"username": "ada@example.org", "password": "correct horse battery staple"}
    refused = client.http.post("/token", data={**form, "grant_type": "password", "scope": scope})

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert client.try_to_log_in(scope=scope).json()["code"] == "invalid_scope"
    assert len(client.sessions(moderator)) == 1


def test_a_refusal_names_the_scopes_that_are_needed(client: Client) -> None:
    refused = client.http.get("/both", headers=client.sign_up().headers)

    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    expected = 'Bearer error="insufficient_scope", scope="account moderate"'
    assert refused.headers["www-authenticate"] == expected


@pytest.mark.parametrize("path", ["/moderation", "/both", "/roles"])
@pytest.mark.parametrize("scope", [None, "account moderate"])
@pytest.mark.usefixtures("moderator")
def test_a_demotion_and_a_promotion_by_sql_hold_for_the_very_next_request(
    client: Client, sql: Sql, path: str, scope: str | None
) -> None:
    """For a token that names its scopes as well."""
    moderator = client.log_in(scope=scope) if scope else client.log_in()
    assert status(client, moderator, path) == 200
    take_role(sql, "moderator")
    assert status(client, moderator, path) == 403
    give_role(sql, "moderator")
    assert status(client, moderator, path) == 200


def test_a_role_that_loses_a_scope_takes_it_from_everyone(
    client: Client, moderator: Tokens, sql: Sql
) -> None:
    # The scopes of the roles stay from one test to the next, so this one makes a role of its own.
    sql("INSERT INTO roles (id, name, scopes) VALUES (99, 'reviewer', 'moderate')")
    take_role(sql, "moderator")
    give_role(sql, "reviewer")
    assert status(client, moderator, "/moderation") == 200
    sql("UPDATE roles SET scopes = '' WHERE id = 99")
    assert status(client, moderator, "/moderation") == 403


def refreshed(client: Client, tokens: Tokens, **fields: Any) -> Tokens:
    return read_tokens(client.refresh(tokens.refresh_token, **fields))


def test_a_refresh_keeps_what_was_granted_and_never_widens_it(
    client: Client, moderator: Tokens
) -> None:
    narrowed = client.log_in(scope="account")

    refused = client.refresh(narrowed.refresh_token, scope="account moderate")

    assert refused.json()["error"] == "invalid_scope"
    # The refusal has not used the token up.
    assert refreshed(client, narrowed).scope == "account"


def test_a_refresh_may_narrow_one_access_token_and_the_next_one_has_all_again(
    client: Client, moderator: Tokens
) -> None:
    less = refreshed(client, moderator, scope="moderate")
    assert less.scope == "moderate"
    assert status(client, less, "/sessions") == 403
    assert refreshed(client, less).scope == "account moderate"


def test_a_refresh_after_a_demotion_gives_less(client: Client, moderator: Tokens, sql: Sql) -> None:
    take_role(sql, "moderator")
    assert client.refresh(moderator.refresh_token, scope="moderate").status_code == 400
    assert refreshed(client, moderator).scope == "account"


DIVIDED = {
    "tab": "moderate\tadmin",
    "line feed": "admin\nmoderate",
    "no-break space": "\u00a0admin",
    "em space": "admin\u2003introspect",
    "another case": "ADMIN",
}


@pytest.mark.parametrize("scopes", DIVIDED.values(), ids=DIVIDED)
def test_only_spaces_divide_the_scopes_of_a_role(client: Client, sql: Sql, scopes: str) -> None:
    tokens = client.sign_up()
    sql("INSERT INTO roles (id, name, scopes) VALUES (99, 'odd', '" + scopes + "')")
    give_role(sql, "odd")
    assert status(client, tokens, "/admin/users") == 403
    assert "admin" not in client.log_in().scope.split(" ")


@pytest.mark.parametrize("scopes", ["admin", "  admin", "x   admin", "admin  x "])
def test_several_spaces_are_as_one_and_hide_no_last_administrator(
    client: Client, sql: Sql, scopes: str
) -> None:
    tokens = client.sign_up()
    sql("INSERT INTO roles (id, name, scopes) VALUES (99, 'odd', '" + scopes + "')")
    give_role(sql, "odd")
    client.register("grace@example.org")
    # Nobody else is an administrator, although this looks like it.
    sql("INSERT INTO roles (id, name, scopes) VALUES (98, 'false', 'ADMIN x' || 'admin')")
    give_role(sql, "false", "grace@example.org")
    assert status(client, tokens, "/admin/users") == 200
    mine = f"/admin/users/{user_id(sql)}"
    demoted = client.http.patch(mine, headers=tokens.headers, json={"roles": ["user"]})
    assert demoted.json()["code"] == "last_administrator"
