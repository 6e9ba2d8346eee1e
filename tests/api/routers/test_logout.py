"""POST /logout revokes the session of whatever token of it the client still has."""

import pytest

from counterfoil import tokens as token_format
from counterfoil.tokens import TokenKind
from tests.support.administrator import Sql, events
from tests.support.client import Client, MakeClient, Tokens, read_tokens

PAST = "'2020-01-01 00:00:00'"


def log_out(client: Client, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return client.http.post("/logout", headers=headers).status_code


def has_ended(client: Client, tokens: Tokens) -> bool:
    is_dead = client.me(tokens).status_code == 401
    return is_dead and client.refresh(tokens.refresh_token).status_code == 400


def test_an_expired_access_token_ends_its_session_and_no_other(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql(f"UPDATE access_tokens SET expires_at = {PAST}")
    other = client.log_in()
    assert log_out(client, tokens.access_token) == 204
    assert has_ended(client, tokens)
    assert client.me(other).status_code == 200
    assert "session.revoked" in events(sql)
    assert sql("SELECT revoked_reason FROM sessions WHERE revoked_at IS NOT NULL") == [("logout",)]


def test_a_refresh_token_ends_its_session(client: Client) -> None:
    tokens, other = client.sign_up(), client.log_in()
    assert log_out(client, tokens.refresh_token) == 204
    assert has_ended(client, tokens)
    assert client.me(other).status_code == 200


def test_tokens_that_were_exchanged_end_the_session_as_well(client: Client) -> None:
    """An answer was lost: the client has only the old pair."""
    client.register()
    for of_old in ("access_token", "refresh_token"):
        old = client.log_in()
        new = read_tokens(client.refresh(old.refresh_token))
        assert log_out(client, getattr(old, of_old)) == 204
        assert has_ended(client, new)


def test_a_token_that_its_holder_has_revoked_ends_the_session(client: Client) -> None:
    tokens = client.sign_up()
    client.http.post("/revoke", data={"token": tokens.access_token})
    assert log_out(client, tokens.access_token) == 204
    assert has_ended(client, tokens)


@pytest.mark.parametrize("of", ["access_token", "refresh_token"])
def test_once_the_session_has_been_revoked_the_answer_is_401(client: Client, of: str) -> None:
    tokens = client.sign_up()
    assert log_out(client, getattr(tokens, of)) == 204
    assert log_out(client, getattr(tokens, of)) == 401


def test_logging_out_of_an_expired_session_or_a_disabled_account_is_final(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    sql("UPDATE users SET is_active = false")
    assert log_out(client, tokens.access_token) == 204
    sql("UPDATE users SET is_active = true")
    assert has_ended(client, tokens)


def test_an_api_key_logs_nobody_out(client: Client) -> None:
    tokens = client.sign_up()
    created = client.create_api_key(tokens)
    assert log_out(client, created["key"]) == 403
    client.http.delete(f"/api-keys/{created['id']}", headers=tokens.headers)
    assert log_out(client, created["key"]) == 401
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize("kind", list(TokenKind))
def test_what_was_never_issued_is_401_and_writes_nothing(
    client: Client, sql: Sql, kind: TokenKind
) -> None:
    tokens = client.sign_up()
    assert log_out(client, token_format.create(kind).text) == 401
    assert log_out(client, "nonsense") == 401
    assert client.http.post("/logout").json()["code"] == "not_authenticated"
    assert client.me(tokens).status_code == 200
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL") == [(0,)]


def test_guessing_at_logout_is_limited(make_client: MakeClient) -> None:
    client = make_client(revocation_misses_per_minute=3)
    tokens = client.sign_up()
    made_up = [log_out(client, token_format.create(TokenKind.ACCESS).text) for _ in range(5)]
    assert made_up == [401, 401, 401, 429, 429]
    assert log_out(client, tokens.refresh_token) == 204
