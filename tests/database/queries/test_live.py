"""The view `live_sessions` and the service's list agree on which sessions are live."""

import pytest

from authentication.credentials import sessions
from tests.support.administrator import Sql, user_id
from tests.support.client import Client, Tokens

PAST = "'2020-01-01 00:00:00'"

# Each of these ends every session of the user, and neither list may show them.
ENDS = [
    f"UPDATE sessions SET revoked_at = {PAST} WHERE user_id = {{user}}",
    f"UPDATE sessions SET expires_at = {PAST} WHERE user_id = {{user}}",
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {user}",
    "UPDATE users SET is_active = false WHERE id = {user}",
    "DELETE FROM access_tokens WHERE user_id = {user}",
    "DELETE FROM sessions WHERE user_id = {user}",
    f"UPDATE access_tokens SET expires_at = {PAST};UPDATE refresh_tokens SET expires_at = {PAST}",
    f"UPDATE access_tokens SET expires_at = {PAST};"
    f"UPDATE refresh_tokens SET first_used_at = {PAST}",
]
# After each of these the sessions are still live.
LEAVES = [
    "SELECT 1",
    "UPDATE sessions SET epoch = 7; UPDATE users SET session_epoch = 7",
    f"UPDATE access_tokens SET expires_at = {PAST}",
    "DELETE FROM refresh_tokens",
    f"UPDATE refresh_tokens SET first_used_at = {PAST}",
]


def in_view(sql: Sql) -> set[str]:
    return {str(row[0]) for row in sql("SELECT session_id FROM live_sessions")}


def in_service(client: Client) -> set[str]:
    """As `python api.py sessions list` and the console's page list them."""
    database = client.http.app.state.service.database  # type: ignore[attr-defined]
    with database.transaction(read_only=True) as db:
        return {str(login.id) for login, _ in sessions.list_everywhere(db, limit=1000)}


def run_each(sql: Sql, statements: str) -> None:
    for statement in statements.format(user=user_id(sql)).split(";"):
        sql(statement)


@pytest.mark.parametrize("statements", ENDS)
def test_the_view_and_the_service_agree_on_what_is_not_live(
    client: Client, sql: Sql, statements: str
) -> None:
    client.sign_up()
    assert len(in_view(sql)) == 1
    run_each(sql, statements)
    assert in_view(sql) == in_service(client) == set()


@pytest.mark.parametrize("statements", LEAVES)
def test_the_view_and_the_service_agree_on_what_is_live(
    client: Client, sql: Sql, statements: str
) -> None:
    client.sign_up()
    client.log_in()
    run_each(sql, statements)
    assert in_view(sql) == in_service(client)
    assert len(in_view(sql)) == 2


def test_the_view_has_the_user_the_client_and_the_times(client: Client, sql: Sql) -> None:
    tokens: Tokens = client.sign_up()
    client.log_in(client_id="phone")
    rows = sql("SELECT email, client_id, created_at < expires_at FROM live_sessions")
    assert sorted(rows, key=str) == [
        ("ada@example.org", "phone", True),
        ("ada@example.org", None, True),
    ]
    assert len(client.sessions(tokens)) == 2
