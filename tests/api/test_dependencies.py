"""What a reader's own routes ask for: who calls, and with which scopes and roles."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from httpx2 import Response

from api.dependencies import CurrentIdentity, OptionalIdentity, requires, requires_role
from counterfoil.identity import Identity
from counterfoil.tokens import TokenKind, create
from tests.support.administrator import Sql, give_role, take_role
from tests.support.client import Client, MakeApp, MakeClient, Tokens

pytestmark = pytest.mark.one_database


def add_routes(app: FastAPI) -> None:
    """As the README shows it."""

    @app.get("/whoami")
    async def whoami(identity: CurrentIdentity) -> str:
        return identity.email

    @app.get("/greeting")
    async def greeting(identity: OptionalIdentity) -> str:
        return f"Hello {identity.name}" if identity else "Hello stranger"

    @app.get("/orders", dependencies=[requires("orders:read", "account")])
    async def orders() -> list[str]:
        return ["one"]

    @app.get("/moderation")
    def moderation(identity: Annotated[Identity, requires_role("moderator", "admin")]) -> list[str]:
        return list(identity.roles)


@pytest.fixture
def reader(make_client: MakeClient, make_app: MakeApp) -> Client:
    app = make_app()
    add_routes(app)
    return make_client(app)


def get(client: Client, path: str, tokens: Tokens | None = None, **headers: str) -> Response:
    return client.http.get(path, headers={**(tokens.headers if tokens else {}), **headers})


def challenge(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["www-authenticate"]


def test_a_route_of_ones_own_knows_who_calls(reader: Client) -> None:
    tokens = reader.sign_up()
    assert get(reader, "/whoami", tokens).json() == "ada@example.org"


def test_without_a_credential_the_challenge_names_no_error(reader: Client) -> None:
    answer = get(reader, "/whoami")
    assert challenge(answer) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_authenticated"
    assert isinstance(answer.json()["detail"], str)
    for other in ("Basic YTpi", "Bearer", "Bearer ", "Digest x", ""):
        assert challenge(get(reader, "/whoami", Authorization=other)) == (401, "Bearer")


def bad_tokens() -> list[str]:
    unknown = create(TokenKind.ACCESS).text
    flipped = unknown[:-1] + ("a" if unknown[-1] != "a" else "b")
    return [unknown, flipped, unknown[:-1], unknown + "x", "x", "cfa_", "a b", "null", "é", "'--"]


def test_a_bad_token_is_an_invalid_token_whatever_is_wrong_with_it(reader: Client) -> None:
    for token in bad_tokens():
        answer = reader.http.get(
            "/whoami", headers={b"Authorization": b"Bearer " + token.encode("latin-1")}
        )
        assert challenge(answer) == (401, 'Bearer error="invalid_token"')
        assert answer.json()["code"] == "invalid_token"
        assert answer.json()["detail"] == "The token is not valid."


def test_a_token_in_the_query_string_or_the_body_or_a_cookie_is_never_taken(reader: Client) -> None:
    token = reader.sign_up().access_token
    names = ("access_token", "token", "api_key", "authorization")
    for path in ["/whoami", "/users/me", "/sessions", "/logout"]:
        method = "POST" if path == "/logout" else "GET"
        for name in names:
            for where in ({"params": {name: token}}, {"headers": {"Cookie": f"{name}={token}"}}):
                answer = reader.http.request(method, path, **where)  # type: ignore[arg-type]
                assert challenge(answer) == (401, "Bearer")
        form = reader.http.post("/logout", data={"access_token": token})
        assert challenge(form) == (401, "Bearer")


def test_the_scheme_is_taken_in_any_case(reader: Client) -> None:
    token = reader.sign_up().access_token
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "]:
        assert get(reader, "/whoami", Authorization=f"{scheme} {token}").status_code == 200


def test_two_different_credentials_are_one_too_many(reader: Client) -> None:
    tokens, others = reader.sign_up(), reader.sign_up("other@example.org")
    twice = [("Authorization", f"Bearer {one.access_token}") for one in (tokens, others)]
    mixed = {**tokens.headers, "X-API-Key": others.access_token}
    for headers in (twice, mixed):
        answer = reader.http.get("/whoami", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous_credentials")
    same = {**tokens.headers, "X-API-Key": tokens.access_token}
    assert reader.http.get("/whoami", headers=same).status_code == 200


def test_the_header_of_the_tutorials_carries_a_token_too(reader: Client) -> None:
    token = reader.sign_up().access_token
    assert get(reader, "/whoami", Token=token).status_code == 200


def test_an_optional_identity_is_none_without_a_credential(reader: Client) -> None:
    tokens = reader.sign_up()
    assert get(reader, "/greeting").json() == "Hello stranger"
    assert get(reader, "/greeting", tokens).json() == "Hello Ada"
    # Whoever shows a bad token believes to be logged in, and must be told.
    reader.http.post("/logout", headers=tokens.headers)
    assert challenge(get(reader, "/greeting", tokens)) == (401, 'Bearer error="invalid_token"')


@pytest.fixture
def orders_role(sql: Sql) -> None:
    sql("INSERT INTO roles (name, scopes) VALUES ('buyer', 'orders:read orders:write')")


@pytest.mark.usefixtures("orders_role")
def test_a_scope_that_is_lacking_is_named_in_the_challenge(reader: Client, sql: Sql) -> None:
    tokens = reader.sign_up()
    answer = get(reader, "/orders", tokens)
    assert answer.json()["code"] == "insufficient_scope"
    expected = 'Bearer error="insufficient_scope", scope="account orders:read"'
    assert challenge(answer) == (403, expected)
    assert challenge(get(reader, "/orders")) == (401, "Bearer")
    give_role(sql, "buyer")
    assert get(reader, "/orders", tokens).json() == ["one"]


@pytest.mark.usefixtures("orders_role")
def test_a_token_that_was_narrowed_lacks_what_it_was_narrowed_by(reader: Client, sql: Sql) -> None:
    reader.register()
    give_role(sql, "buyer")
    assert get(reader, "/orders", reader.log_in(scope="orders:write")).status_code == 403
    assert get(reader, "/orders", reader.log_in(scope="orders:read account")).status_code == 200


def test_one_of_the_roles_that_a_route_names_suffices(reader: Client, sql: Sql) -> None:
    tokens = reader.sign_up()
    refused = get(reader, "/moderation", tokens)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_role")
    give_role(sql, "moderator")
    assert get(reader, "/moderation", tokens).json() == ["moderator", "user"]


def test_a_demotion_by_sql_holds_for_the_very_next_request(reader: Client, sql: Sql) -> None:
    reader.register()
    give_role(sql, "moderator")
    tokens = reader.log_in()
    assert get(reader, "/moderation", tokens).status_code == 200
    take_role(sql, "moderator")
    assert get(reader, "/moderation", tokens).status_code == 403
    assert get(reader, "/whoami", tokens).status_code == 200


def test_a_scope_taken_from_a_role_is_gone_for_the_very_next_request(
    reader: Client, sql: Sql
) -> None:
    sql("INSERT INTO roles (name, scopes) VALUES ('buyer', 'orders:read')")
    tokens = reader.sign_up()
    give_role(sql, "buyer")
    assert get(reader, "/orders", tokens).status_code == 200
    sql("UPDATE roles SET scopes = '' WHERE name = 'buyer'")
    assert get(reader, "/orders", tokens).status_code == 403


PAST_BY_DATABASE = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-0.01 seconds')",
    "postgresql": "now()",
}


def test_expiry_is_judged_to_the_moment(client: Client, sql: Sql, database_url: str) -> None:
    tokens = client.sign_up()
    moment = PAST_BY_DATABASE[database_url.partition(":")[0]]
    sql(f"UPDATE access_tokens SET expires_at = {moment}")
    assert challenge(client.me(tokens)) == (401, 'Bearer error="invalid_token"')


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_expiry_is_judged_by_the_clock_of_the_database_and_not_by_ours(
    client: Client, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = client.sign_up()
    an_hour_ahead = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: an_hour_ahead)
    assert client.me(tokens).status_code == 200
    set_by_database = client.log_in()
    query = "SELECT max(expires_at) - now() < interval '61 minutes' FROM access_tokens"
    assert sql(query) == [(True,)]
    assert set_by_database.expires_in == 3600


def test_no_connection_is_held_while_a_handler_runs(
    make_client: MakeClient, make_app: MakeApp
) -> None:
    app = make_app(database_pool_size=1, lookup_connections=1)
    entered, go_on = threading.Semaphore(0), threading.Event()

    @app.get("/slow")
    def slow(identity: CurrentIdentity) -> str:
        entered.release()
        assert go_on.wait(30)
        return identity.email

    client = make_client(app)
    tokens = client.sign_up()
    with ThreadPoolExecutor(4) as threads:
        slow_ones = [threads.submit(get, client, "/slow", tokens) for _ in range(4)]
        try:
            assert all(entered.acquire(timeout=30) for _ in slow_ones)
            assert client.me(tokens).status_code == 200
            assert len(client.sessions(tokens)) == 1
            assert client.log_in().access_token != tokens.access_token
            assert app.state.service.database.engine.pool.checkedout() == 0
        finally:
            go_on.set()
        assert {answer.result(30).status_code for answer in slow_ones} == {200}


def test_a_protected_request_costs_one_lookup_and_nothing_else(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = client.http.app.state.service  # type: ignore[attr-defined]
    lookup = service.resolver._lookup
    asked: list[int] = []
    find = lookup.find

    def count(kind: Any, digests: Any) -> Any:
        asked.append(len(digests))
        return find(kind, digests)

    tokens = client.sign_up()
    monkeypatch.setattr(lookup, "find", count)
    monkeypatch.setattr(service.database, "session", lambda **_: pytest.fail("a second query"))
    assert client.me(tokens).status_code == 200
    assert client.me("cfr_x").status_code == 401
    assert asked == [1]


def test_requests_that_come_together_each_get_their_own_user(client: Client) -> None:
    tokens = {
        f"user{number}@example.org": client.sign_up(f"user{number}@example.org")
        for number in range(8)
    }
    dead = client.log_in("user0@example.org")
    client.http.post("/logout", headers=dead.headers)
    calls = [*tokens.items(), ("dead", dead)] * 8

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda call: client.me(call[1]), calls))
    for (email, _), answer in zip(calls, answers, strict=True):
        if email == "dead":
            assert answer.status_code == 401
        else:
            assert answer.json()["email"] == email
