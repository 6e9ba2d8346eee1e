"""Who tries tokens at /introspect and /revoke is slowed down; who has a real one never is."""

import pytest
from httpx2 import Response

from counterfoil import tokens
from counterfoil.tokens import TokenKind
from tests.support.administrator import Sql, give_role
from tests.support.client import Client, MakeClient, Tokens

pytestmark = pytest.mark.one_database


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(introspection_misses_per_minute=3, revocation_misses_per_minute=3)


@pytest.fixture
def administrator(client: Client, sql: Sql) -> Tokens:
    client.register()
    give_role(sql, "admin")
    return client.log_in()


def guess() -> str:
    return tokens.create(TokenKind.ACCESS).text


def introspect(client: Client, caller: str, token: str) -> Response:
    headers = {"Authorization": f"Bearer {caller}"}
    return client.http.post("/introspect", data={"token": token}, headers=headers)


def revoke(client: Client, token: str) -> Response:
    return client.http.post("/revoke", data={"token": token})


def assert_refused(response: Response) -> None:
    assert response.status_code == 429
    assert response.json()["error"] == "temporarily_unavailable"
    assert 1 <= int(response.headers["retry-after"]) <= 60


def test_guesses_are_refused_past_the_limit_and_real_tokens_never(
    client: Client, administrator: Tokens
) -> None:
    key = administrator.access_token
    for token in (guess(), "nonsense", guess()):
        assert introspect(client, key, token).json() == {"active": False}
    assert_refused(introspect(client, key, guess()))
    assert_refused(introspect(client, key, "nonsense"))
    assert introspect(client, key, key).json()["active"] is True


def test_callers_that_nobody_knows_are_refused_past_the_limit(
    client: Client, administrator: Tokens
) -> None:
    for _ in range(3):
        assert introspect(client, guess(), guess()).status_code == 401
    assert_refused(introspect(client, guess(), guess()))
    assert introspect(client, administrator.access_token, guess()).status_code == 200


def test_revoking_what_is_no_token_is_refused_past_the_limit_and_a_real_one_never(
    client: Client,
) -> None:
    found = client.sign_up()
    for token in (guess(), "nonsense", guess()):
        assert revoke(client, token).status_code == 200
    assert_refused(revoke(client, guess()))
    assert_refused(revoke(client, "nonsense"))
    assert revoke(client, found.access_token).status_code == 200
    assert client.me(found).status_code == 401
    assert_refused(revoke(client, found.access_token))


def test_a_malformed_token_is_revoked_without_a_query(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = client.http.app.state.service  # type: ignore[attr-defined]
    monkeypatch.setattr(service.database, "run", None)
    assert revoke(client, "nonsense").status_code == 200


def test_nobody_is_slowed_down_where_the_throttle_is_off(make_client: MakeClient) -> None:
    client = make_client(login_throttle="off", revocation_misses_per_minute=1)
    assert {revoke(client, guess()).status_code for _ in range(5)} == {200}
