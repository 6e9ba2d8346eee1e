"""docs/how-to/revoke-by-sql.md: each statement ends what the page says, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.server import REPOSITORY
from tests.support import documentation
from tests.support.administrator import Sql, give_role, user_id
from tests.support.client import PASSWORD, Client, Tokens

PAGE = REPOSITORY / "docs" / "how-to" / "revoke-by-sql.md"
SESSION = "0b9ad1f6-2f1c-4c7e-9c3f-5f2f1f0a6a51"
Statements = Callable[[str], list[str]]


@pytest.fixture
def statements(database_url: str) -> Statements:
    """The statements of a section."""
    database = database_url.partition(":")[0]
    return lambda title: documentation.statements(PAGE, title, database)


@pytest.fixture
def bystander(client: Client) -> Tokens:
    """Somebody whom no statement means."""
    return client.sign_up("bystander@example.org")


def sign_up(client: Client, number: int) -> tuple[str, Tokens]:
    """Somebody new for each statement."""
    email = f"user{number}@example.org"
    return email, client.sign_up(email)


def written_for(statement: str, email: str, sql: Sql) -> str:
    ours = statement.replace("42", str(user_id(sql, email)))
    return ours.replace("ada@example.org", email)


def assert_refused(client: Client, tokens: Tokens, statement: str) -> None:
    assert client.me(tokens).status_code == 401, statement
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant", statement


def test_the_view_shows_who_is_logged_in(
    client: Client, sql: Sql, statements: Statements, bystander: Tokens
) -> None:
    client.register()
    client.log_in(client_id="phone")
    everybody, one = statements("Look first")
    assert len(sql(everybody)) == 2
    assert len(sql(written_for(one, "ada@example.org", sql))) == 1


def test_somebody_is_logged_out_everywhere(
    client: Client, sql: Sql, statements: Statements, bystander: Tokens
) -> None:
    for number, statement in enumerate(statements("All sessions of one user")):
        email, tokens = sign_up(client, number)
        sql(written_for(statement, email, sql))
        assert_refused(client, tokens, statement)
        may_return = not statement.startswith(("DELETE FROM users", "UPDATE users SET is_active"))
        again = client.try_to_log_in(email)
        assert (again.status_code == 200) is may_return, statement
    assert client.me(bystander).status_code == 200


def test_one_session_ends_and_the_others_go_on(
    client: Client, sql: Sql, statements: Statements, bystander: Tokens
) -> None:
    parts = statements("One session, one device, one client, one IP address")
    assert len(parts) == 4
    for number, statement in enumerate(parts):
        email, laptop = sign_up(client, number)
        phone = client.log_in(email)
        # The newest session becomes the one that the page speaks of.
        sql(
            f"UPDATE sessions SET client_id = 'Ada''s phone', ip = '192.0.2.7',"
            f" user_agent = 'Mozilla/5.0 (Android 16)' WHERE id = '{session_id(client, phone)}'"
        )
        sql(written_for(statement, email, sql).replace(SESSION, session_id(client, phone)))
        assert_refused(client, phone, statement)
        assert client.me(laptop).status_code == 200, statement
    assert client.me(bystander).status_code == 200


def test_the_tokens_of_a_registered_client_are_revoked_and_others_go_on(
    client: Client, sql: Sql, statements: Statements, bystander: Tokens
) -> None:
    parts = statements("A registered client")
    assert len(parts) == 4
    for number, statement in enumerate(parts):
        email, own = sign_up(client, number)
        sql("DELETE FROM oauth_clients")
        sql(
            "INSERT INTO oauth_clients (id, name, grants)"
            " VALUES ('calendar', 'Calendar', 'password refresh_token')"
        )
        theirs = client.log_in(email, client_id="calendar")
        sql(written_for(statement, email, sql))
        if statement.startswith("UPDATE"):
            assert client.me(theirs).status_code == 200, statement
            rejected = client.try_to_log_in(email, client_id="calendar")
            assert rejected.json()["code"] == "invalid_client", statement
        else:
            assert_refused(client, theirs, statement)
        assert client.me(own).status_code == 200, statement
    assert client.me(bystander).status_code == 200


def session_id(client: Client, tokens: Tokens) -> str:
    (current,) = [one for one in client.sessions(tokens) if one["current"]]
    return str(current["id"])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_session_of_a_token_that_was_found_ends(
    client: Client, sql: Sql, statements: Statements, bystander: Tokens
) -> None:
    (statement,) = statements("A token that was found")
    tokens = client.sign_up()
    sql(statement.replace("cfa_...", tokens.access_token))
    assert_refused(client, tokens, statement)
    assert client.me(bystander).status_code == 200


def test_api_keys_end_and_sessions_go_on(client: Client, sql: Sql, statements: Statements) -> None:
    for number, statement in enumerate(statements("API keys")):
        email, tokens = sign_up(client, number)
        made = client.create_api_key(tokens)
        assert call_with(client, made) == 200
        ours = written_for(statement, email, sql).replace("7mQ2", made["hint"])
        sql(ours.replace("cfk_...", made["key"]))
        assert call_with(client, made) == 401, statement
        assert client.me(tokens).status_code == 200, statement


def call_with(client: Client, made: dict[str, Any]) -> int:
    return client.http.get("/users/me", headers={"X-API-Key": made["key"]}).status_code


def test_a_role_that_is_taken_away_is_gone_at_once(
    client: Client, sql: Sql, statements: Statements
) -> None:
    tokens = client.sign_up()
    sql("INSERT INTO roles (name, scopes) VALUES ('clerk', 'orders:read orders:write')")
    give_role(sql, "admin")
    give_role(sql, "clerk")
    assert demand(client, tokens, "role=admin&scope=orders:write") == 200
    for statement in statements("Roles"):
        sql(written_for(statement, "ada@example.org", sql))
    assert demand(client, tokens, "role=admin") == 403
    assert demand(client, tokens, "scope=orders:write") == 403
    assert demand(client, tokens, "role=clerk&scope=orders:read") == 200


def demand(client: Client, tokens: Tokens, what: str) -> int:
    return client.http.get(f"/verify?{what}", headers=tokens.headers).status_code


def test_everybody_is_logged_out_and_no_key_works(
    client: Client, sql: Sql, statements: Statements, bystander: Tokens
) -> None:
    made = client.create_api_key(bystander)
    ada = client.sign_up()
    for statement in statements("All users"):
        sql(statement)
    assert_refused(client, ada, "everybody")
    assert_refused(client, bystander, "everybody")
    assert call_with(client, made) == 401
    assert client.try_to_log_in(password=PASSWORD).status_code == 200


def test_every_section_with_sql_is_tried_here() -> None:
    sections = PAGE.read_text().split("\n## ")[1:]
    with_sql = [part.partition("\n")[0] for part in sections if "```sql" in part]
    here = Path(__file__).read_text()
    assert [title for title in with_sql if f'"{title}"' not in here] == []
