"""`updated_at` says when an account was changed, and nothing else moves it."""

from collections.abc import Callable

import pytest

from tests.support.administrator import Sql
from tests.support.client import PASSWORD, Client, Tokens, read_tokens
from tests.support.clock import Clock

LONG_AGO = -30 * 86_400
NEW_PASSWORD = "another battery staple"


@pytest.fixture
def settle(sql: Sql, database_url: str) -> Callable[[], object]:
    """Lets a month pass since the last change of everybody."""
    clock = Clock(database_url)
    return lambda: sql(f"UPDATE users SET updated_at = {clock.in_seconds(LONG_AGO)}")


def updated_at(client: Client) -> str:
    return str(client.me(client.log_in()).json()["updated_at"])


def end_all_sessions(client: Client, tokens: Tokens) -> None:
    assert client.http.delete("/sessions", headers=tokens.headers).status_code == 200


def test_ending_sessions_is_no_change_of_the_account(
    client: Client, settle: Callable[[], object]
) -> None:
    tokens = client.sign_up()
    settle()
    before = updated_at(client)
    end_all_sessions(client, tokens)
    assert updated_at(client) == before


def test_neither_is_a_better_hash_of_the_same_password(
    make_client: Callable[..., Client], settle: Callable[[], object], sql: Sql
) -> None:
    make_client(bcrypt_rounds=4).sign_up()
    settle()
    stored = sql("SELECT hashed_password, updated_at FROM users")
    make_client(bcrypt_rounds=5).log_in()
    upgraded = sql("SELECT hashed_password, updated_at FROM users")
    assert upgraded[0][0] != stored[0][0]
    assert upgraded[0][1] == stored[0][1]


def test_a_new_name_and_a_new_password_are(client: Client, settle: Callable[[], object]) -> None:
    tokens = client.sign_up()
    settle()
    before = updated_at(client)
    changed = client.http.patch("/users/me", json={"name": "Augusta"}, headers=tokens.headers)
    assert changed.json()["updated_at"] > before
    settle()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = client.http.put("/users/me/password", json=body, headers=tokens.headers)
    renewed = read_tokens(answer)
    assert client.me(renewed).json()["updated_at"] > changed.json()["created_at"]
