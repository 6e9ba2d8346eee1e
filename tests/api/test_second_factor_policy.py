"""Roles that require a second factor give nothing to sessions without one, from now on."""

import re

import pytest

from counterfoil.fastapi import second_factor
from tests.support import factors
from tests.support.administrator import Sql, give_role, user_id
from tests.support.client import Client, MakeApp, MakeClient, Tokens
from tests.support.clock import Clock
from tests.support.factors import App

REQUIRE = "UPDATE roles SET requires_second_factor = true WHERE name = 'admin'"


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(secret_keys=(factors.SECRET_KEY,))


@pytest.fixture
def tokens(client: Client, sql: Sql) -> Tokens:
    client.register()
    give_role(sql, "admin")
    return client.log_in()


def list_users(client: Client, tokens: Tokens) -> int:
    return client.http.get("/admin/users", headers=tokens.headers).status_code


def change_roles(client: Client, tokens: Tokens, user: int) -> int:
    """What begins with the actor being held."""
    body = {"roles": ["user", "moderator"]}
    url = f"/admin/users/{user}"
    return client.http.patch(url, headers=tokens.headers, json=body).status_code


def test_the_policy_holds_for_the_next_request_and_enrolling_is_the_way_back(
    client: Client, tokens: Tokens, sql: Sql
) -> None:
    bob = client.register("bob@example.org").json()["id"]
    assert (list_users(client, tokens), change_roles(client, tokens, bob)) == (200, 200)
    sql(REQUIRE)
    assert (list_users(client, tokens), change_roles(client, tokens, bob)) == (403, 403)
    assert "admin" not in client.log_in().scope
    assert "admin" not in client.refresh(client.log_in().refresh_token).json()["scope"]
    app = factors.enrol(client, tokens, sql)
    assert (list_users(client, tokens), change_roles(client, tokens, bob)) == (200, 200)
    begun = factors.log_in(client, app)
    assert "admin" in begun.scope
    assert list_users(client, begun) == 200
    assert "admin" in client.refresh(begun.refresh_token).json()["scope"]


def test_the_request_that_was_authorized_before_the_policy_is_rejected_within(
    client: Client, tokens: Tokens, sql: Sql
) -> None:
    """The lookup passes, and the role requires a second factor before the transaction begins."""
    bob = client.register("bob@example.org").json()["id"]
    service = client.http.app.state.service  # type: ignore[attr-defined]
    resolve = service.resolver.resolve

    async def resolve_and_require(*args: object, **options: object) -> object:
        identity = await resolve(*args, **options)
        sql(REQUIRE)
        return identity

    service.resolver.resolve = resolve_and_require
    assert change_roles(client, tokens, bob) == 403


def test_second_factor_is_a_dependency_for_a_readers_own_routes(
    make_app: MakeApp, make_client: MakeClient, sql: Sql, database_url: str
) -> None:
    service = make_app(secret_keys=(factors.SECRET_KEY,))

    @service.get("/vault", dependencies=[second_factor()])
    @service.get("/safe", dependencies=[second_factor(seconds=60)])
    async def open_it() -> None: ...

    client = make_client(service)
    tokens = client.sign_up()

    def ask(**headers: str) -> list[tuple[int, str | None]]:
        answers = [client.http.get(path, headers=headers) for path in ("/vault", "/safe")]
        return [(one.status_code, one.headers.get("www-authenticate")) for one in answers]

    error = 'Bearer error="insufficient_user_authentication", acr_values="aal2"'
    rejected = [(401, error), (401, f'{error}, max_age="60"')]
    assert ask(**tokens.headers) == rejected
    factors.enrol(client, tokens, sql)
    assert ask(**tokens.headers) == [(200, None), (200, None)]
    key = client.create_api_key(tokens)["key"]
    assert [status for status, _ in ask(**{"X-API-Key": key})] == [403, 403]
    past = Clock(database_url).in_seconds(-61)
    sql(f"UPDATE sessions SET second_factor_at = {past}")
    assert ask(**tokens.headers) == [(200, None), rejected[1]]


def test_factors_and_the_policy_cost_the_lookup_no_table(sql: Sql, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        query = "SELECT sql FROM sqlite_master WHERE name = 'live_access_tokens'"
    else:
        query = "SELECT pg_get_viewdef('live_access_tokens')"
    ((view,),) = sql(query)
    read = set(re.findall(r"(?:FROM|JOIN) \(*([a-z_]+)", view))
    assert read == {"access_tokens", "sessions", "users", "user_roles", "roles"}


def test_an_api_key_gets_a_role_only_from_a_session_with_a_second_factor(
    client: Client, tokens: Tokens, sql: Sql
) -> None:
    sql(REQUIRE)
    body = {"name": "Key", "scopes": ["admin"]}
    answer = client.http.post("/api-keys", headers=tokens.headers, json=body)
    assert answer.json()["code"] == "invalid_scope"
    assert client.create_api_key(tokens)["scopes"] == []
    factors.enrol(client, tokens, sql)
    key = client.create_api_key(tokens, scopes=["admin"])["key"]
    answer = client.http.get("/admin/users", headers={"X-API-Key": key})
    assert answer.status_code == 200


def test_introspection_and_forward_auth_tell_how_the_user_was_authenticated(
    client: Client, tokens: Tokens, sql: Sql
) -> None:
    key = client.create_api_key(tokens, scopes=["introspect"])["key"]
    answer = introspect(client, tokens, key)
    assert (answer["acr"], answer["amr"]) == ("aal1", ["pwd"])
    app: App = factors.enrol(client, tokens, sql)
    begun = factors.log_in(client, app)
    answer = introspect(client, begun, key)
    assert (answer["acr"], answer["amr"]) == ("aal2", ["mfa", "otp", "pwd"])
    assert answer["second_factor_at"] == answer["confirmed_at"] == answer["issued_at"]
    assert "acr" not in introspect(client, key, key)
    verified = client.http.get("/verify", headers=begun.headers).headers
    assert verified["x-auth-time"] == str(answer["auth_time"])
    assert (verified["x-auth-acr"], verified["x-auth-amr"]) == ("aal2", "mfa otp pwd")


def introspect(client: Client, token: Tokens | str, key: str) -> dict[str, object]:
    text = token if isinstance(token, str) else token.access_token
    headers = {"X-API-Key": key}
    found: dict[str, object] = client.http.post(
        "/introspect", headers=headers, data={"token": text}
    ).json()
    return found


def test_a_proxy_can_demand_a_fresh_session_and_a_second_factor(
    client: Client, tokens: Tokens, sql: Sql, database_url: str
) -> None:
    def verify(query: str, headers: dict[str, str] = tokens.headers) -> tuple[int, str]:
        answer = client.http.get(f"/verify?{query}", headers=headers)
        return answer.status_code, answer.headers.get("www-authenticate", "")

    error = 'Bearer error="insufficient_user_authentication"'
    key = {"X-API-Key": client.create_api_key(tokens)["key"]}
    assert verify("fresh=300")[0] == verify("acr=aal1")[0] == 200
    assert verify("fresh=300", key)[0] == 200
    assert verify("acr=aal2") == (401, f'{error}, acr_values="aal2"')
    for query in ("acr=aal1", "acr=aal2"):
        assert verify(query, key)[0] == 401
    factors.age(sql, database_url)
    assert verify("fresh=300") == (401, f'{error}, max_age="300"')
    assert verify("fresh=7200&fresh=300")[0] == 401
    assert verify("fresh=7200")[0] == 200
    for odd in ("fresh=", "fresh=x", "fresh=-1", "fresh=1e9", "acr=", "acr=aal3"):
        assert verify(odd)[0] == 401, odd
    sql(f"UPDATE sessions SET second_factor_at = created_at WHERE user_id = {user_id(sql)}")
    assert verify("acr=aal2")[0] == 200
