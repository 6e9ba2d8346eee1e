"""What a credential may use is decided once, and opens the doors that it was made for."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI

from api.dependencies import CurrentIdentity, requires_role
from counterfoil.identity import Identity
from tests.support.administrator import Sql, give_role, take_role
from tests.support.client import Client, Tokens
from tests.support.console import ConsoleClient

pytestmark = pytest.mark.one_database


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    """A service with routes of a reader's own."""
    app = make_app()

    @app.get("/administrators")
    async def administrators(identity: Annotated[Identity, requires_role("admin")]) -> int:
        return identity.user_id

    @app.get("/roles")
    async def roles(identity: CurrentIdentity) -> tuple[str, ...]:
        return identity.roles

    return app


@pytest.fixture
def browser(app: FastAPI) -> Iterator[ConsoleClient]:
    """A browser in which nobody is signed in."""
    console = ConsoleClient(app)
    with console.http:
        yield console


@pytest.fixture
def client(browser: ConsoleClient) -> Client:
    """The API of the same application."""
    return Client(browser.http)


def headers_of(credential: Tokens | str) -> dict[str, str]:
    token = credential if isinstance(credential, str) else credential.access_token
    return {"Authorization": f"Bearer {token}"}


def authority(client: Client, credential: Tokens | str) -> dict[str, Any]:
    """What each way to ask for a role says of a credential."""
    headers = headers_of(credential)
    verified = client.http.get("/verify", headers=headers)
    return {
        "requires_role": client.http.get("/administrators", headers=headers).status_code == 200,
        "verify": client.http.get("/verify?role=admin", headers=headers).status_code == 200,
        "header": "admin" in verified.headers["x-auth-roles"].split(","),
        "identity": "admin" in client.http.get("/roles", headers=headers).json(),
    }


NOWHERE = {"requires_role": False, "verify": False, "header": False, "identity": False}
EVERYWHERE = dict.fromkeys(NOWHERE, True)


def test_a_session_that_was_not_narrowed_has_all_roles_at_every_door(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    assert authority(client, tokens) == NOWHERE
    give_role(sql, "admin")
    assert authority(client, tokens) == EVERYWHERE


@pytest.mark.parametrize("scope", ["account", "introspect", "account introspect moderate"])
def test_a_narrowed_session_lacks_the_roles_whose_scopes_it_does_not_hold(
    client: Client, sql: Sql, scope: str
) -> None:
    client.register()
    give_role(sql, "admin")
    assert authority(client, client.log_in(scope=scope)) == NOWHERE


def test_a_narrowed_session_has_the_roles_all_of_whose_scopes_it_holds(
    client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    assert authority(client, client.log_in(scope="admin introspect moderate")) == EVERYWHERE


@pytest.mark.parametrize("scopes", [[], None])
def test_an_api_key_has_no_role_that_its_owner_was_given_later(
    client: Client, sql: Sql, scopes: list[str] | None
) -> None:
    key = client.create_api_key(client.sign_up(), name="early", scopes=scopes)["key"]
    give_role(sql, "admin")
    # Neither if the role comes to give nothing that the key would have to hold.
    assert authority(client, key) == NOWHERE
    sql("UPDATE roles SET scopes = '' WHERE name = 'admin'")
    assert authority(client, key) == NOWHERE


def test_an_api_key_has_the_roles_it_was_made_with_while_it_holds_their_scopes(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    give_role(sql, "admin")
    whole = client.create_api_key(tokens, name="whole")["key"]
    narrow = client.create_api_key(tokens, name="narrow", scopes=["introspect"])["key"]
    assert authority(client, whole) == EVERYWHERE
    assert authority(client, narrow) == NOWHERE
    take_role(sql, "admin")
    assert authority(client, whole) == NOWHERE


def test_a_role_without_scopes_is_that_of_credentials_that_were_not_narrowed(
    client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    sql("UPDATE roles SET scopes = ' ' WHERE name = 'admin'")
    tokens = client.log_in()
    assert authority(client, tokens) == EVERYWHERE
    assert authority(client, client.create_api_key(tokens, name="whole")["key"]) == EVERYWHERE
    assert authority(client, client.log_in(scope="account")) == NOWHERE
    for scopes in ([], ["rotate"]):
        key = client.create_api_key(tokens, name=f"narrow {scopes}", scopes=scopes)
        assert authority(client, key["key"]) == NOWHERE
        rotated = client.http.post(f"/api-keys/{key['id']}/rotate", headers=tokens.headers)
        assert authority(client, rotated.json()["key"]) == NOWHERE


def test_a_key_that_was_made_for_some_scopes_gets_no_role_that_comes_to_give_fewer(
    client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    key = client.create_api_key(client.log_in(), scopes=["introspect"])["key"]
    for scopes in ("introspect", ""):
        sql(f"UPDATE roles SET scopes = '{scopes}' WHERE name = 'admin'")
        assert authority(client, key) == NOWHERE


def test_a_rotated_key_has_no_role_that_the_old_one_had_not(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    early = client.create_api_key(tokens, name="early", scopes=[])
    give_role(sql, "admin")
    sql("UPDATE roles SET scopes = '' WHERE name = 'admin'")
    rotated = client.http.post(f"/api-keys/{early['id']}/rotate", headers=tokens.headers).json()
    assert authority(client, rotated["key"]) == NOWHERE


def test_the_account_says_its_roles_whatever_the_credential_may_use(
    client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    narrowed = client.log_in(scope="account")
    assert client.me(narrowed).json()["roles"] == ["admin", "user"]


def signed_in(browser: ConsoleClient) -> str:
    """The token in the cookie of whoever has just signed in to the console."""
    assert browser.sign_in().status_code == 200
    token = browser.token
    # The API must not be opened by the cookie either.
    browser.http.cookies.clear()
    return token


def test_a_token_of_the_api_opens_no_console(browser: ConsoleClient, client: Client) -> None:
    tokens = client.sign_up()
    assert not browser.is_let_in(tokens.access_token)
    assert not browser.is_let_in(client.log_in(client_id="console").access_token)


def test_a_token_of_the_console_opens_nothing_else(
    browser: ConsoleClient, client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    token = signed_in(browser)
    assert browser.is_let_in(token)
    headers = headers_of(token)
    for method, path in (
        ("GET", "/users/me"),
        ("GET", "/verify"),
        ("GET", "/sessions"),
        ("GET", "/admin/users"),
        ("POST", "/logout"),
    ):
        answer = client.http.request(method, path, headers=headers)
        challenge = answer.headers["www-authenticate"]
        assert (answer.status_code, challenge) == (401, 'Bearer error="invalid_token"'), path
    key = client.create_api_key(client.log_in(), scopes=["introspect"])["key"]
    asked = client.http.post("/introspect", data={"token": token}, headers=headers_of(key))
    assert asked.json() == {"active": False}


def test_a_refresh_token_of_the_console_is_exchanged_nowhere(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql("UPDATE sessions SET kind = 'console'")
    rejected = client.refresh(tokens.refresh_token)
    assert (rejected.status_code, rejected.json()["error"]) == (400, "invalid_grant")
