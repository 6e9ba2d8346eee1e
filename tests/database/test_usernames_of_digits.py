"""The migration that rejects usernames of digits, with such names in the table."""

from collections.abc import Callable

import pytest

from database import migrations
from tests.support.administrator import Sql, insert_user, run_sql, user_id
from tests.support.client import Client

BEFORE = "0013_database_roles"


@pytest.fixture
def old_url(empty_url: str) -> str:
    """A database from before the migration."""
    migrations.upgrade(empty_url, BEFORE)
    return empty_url


def add(url: str, *usernames: str | None) -> None:
    for number, username in enumerate(usernames, start=1):
        row = (number, f"{number}@example.org", username)
        mark = "?" if url.startswith("sqlite") else "%s"
        run_sql(
            url,
            "INSERT INTO users (id, email, username, name, hashed_password)"
            f" VALUES ({mark}, {mark}, {mark}, 'Ada', '!')",
            row,
        )


def usernames_in(url: str) -> list[str | None]:
    return [name for (name,) in run_sql(url, "SELECT username FROM users ORDER BY id")]


def test_names_of_digits_are_renamed_and_removed_where_that_is_not_possible(old_url: str) -> None:
    long = "1" * 64
    add(old_url, "42", "7", "U7", " 9", "+9", long, "", "ada", "a1", "1a", "1-2", None, "1.", "-")
    migrations.upgrade(old_url)
    assert usernames_in(old_url) == [
        *("u42", None, "U7", "u9", None, None, None),
        *("ada", "a1", "1a", "1-2", None, "1.", None),
    ]


@pytest.mark.parametrize("username", ["1", "0042", "+1", " 1", "1 ", "-1", ""])
def test_no_statement_can_store_a_name_that_could_be_an_id(
    client: Client, sql: Sql, username: str
) -> None:
    client.register()
    with pytest.raises(Exception, match="username_is_no_number"):
        sql(f"UPDATE users SET username = '{username}'")


def test_the_way_down_allows_them_again_and_the_way_up_renames_them(
    client: Client, sql: Sql, database_url: str, upgrade: Callable[[], None]
) -> None:
    tokens = client.sign_up(username="ada")
    try:
        migrations.downgrade(database_url, BEFORE)
        sql("UPDATE users SET username = '42'")
    finally:
        upgrade()
    assert client.me(tokens).json()["username"] == "u42"
    # What reads the table, and what looks names up, is there as before.
    assert sql("SELECT username FROM live_sessions") == [("u42",)]
    assert client.register("other@example.org", username="U42").status_code == 409


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_remaking_the_table_frees_no_id_of_a_deleted_user(
    client: Client, sql: Sql, database_url: str, upgrade: Callable[[], None]
) -> None:
    insert_user(sql, "first@example.org")
    deleted = insert_user(sql, "last@example.org")
    sql(f"DELETE FROM users WHERE id = {deleted}")
    migrations.downgrade(database_url, BEFORE)
    upgrade()
    client.register()
    assert user_id(sql) == deleted + 1
