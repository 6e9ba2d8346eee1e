"""Which user a command means, and which names it takes for a new one."""

from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.support.administrator import Sql, insert_user, user_id
from tests.support.client import PASSWORD, Client

pytestmark = pytest.mark.one_database

Command = Callable[..., Result]

DEEDS = [
    ("disable-user", "{}"),
    ("enable-user", "{}"),
    ("set-password", "{}", "--password-stdin"),
    ("create-api-key", "{}"),
    ("sessions", "revoke", "--user", "{}"),
    ("sessions", "list", "--user", "{}"),
    ("api-keys", "revoke", "--user", "{}"),
    ("api-keys", "list", "--user", "{}"),
]
NAMES = ("--name", "--username", "--role")


def run(command: Command, words: tuple[str, ...], who: str) -> Result:
    return command(*(word.format(who) for word in words), stdin="another correct horse\n")


@pytest.mark.parametrize("words", DEEDS, ids=" ".join)
@pytest.mark.both_databases
def test_digits_are_an_id_and_nothing_else(
    command: Command, client: Client, sql: Sql, words: tuple[str, ...]
) -> None:
    """With a username that no door accepts, to show that it is not even looked up."""
    meant = client.register().json()["id"]
    other = insert_user(sql, "other@example.org")
    sql("UPDATE users SET username = 'x' WHERE id = ?".replace("?", str(other)))
    assert run(command, words, str(meant)).exit_code == 0
    assert run(command, words, f" {meant} ").exit_code == 0
    for name in ("987654", "99999999999999999999", "\uff11", "\u00b9", "+1", "\u0661"):
        assert "no such user" in run(command, words, name).stderr
    assert sql(f"SELECT session_epoch, is_active FROM users WHERE id = {other}") == [(0, True)]
    assert sql(f"SELECT count(*) FROM api_keys WHERE user_id = {other}") == [(0,)]


@pytest.mark.parametrize("words", DEEDS, ids=" ".join)
def test_a_user_is_found_by_any_name_as_it_is_typed(
    command: Command, client: Client, sql: Sql, words: tuple[str, ...]
) -> None:
    client.register(username="Ada")
    insert_user(sql, "SVC@company.local")
    for who in ("ada", " ADA\t", "Ada@Example.org ", "svc@company.local", "SVC@Company.Local\n"):
        result = run(command, words, who)
        assert result.exit_code == 0, result.stderr


def test_white_space_around_the_names_of_a_new_user_is_taken_off(
    command: Command, client: Client, sql: Sql
) -> None:
    options = ("--name", " Ada L. ", "--username", "\tada ", "--role", " admin ")
    made = command(
        "create-user", " Ada@example.org ", *options, "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    assert made.exit_code == 0
    me = client.me(client.log_in()).json()
    assert (me["name"], me["username"], me["roles"]) == ("Ada L.", "ada", ["admin", "user"])
    assert command("create-api-key", str(user_id(sql)), "--name", " Report ").exit_code == 0
    assert sql("SELECT name FROM api_keys") == [("Report",)]


@pytest.mark.parametrize("text", ["Ad\u202ea", "Ad\u200ba", "Ad\u3164a", " "], ids=ascii)
def test_a_name_that_does_not_show_is_rejected(command: Command, client: Client, text: str) -> None:
    for option in NAMES:
        made = command(
            *("create-user", "new@example.org", option, text, "--password-stdin"),
            stdin=f"{PASSWORD}\n",
        )
        assert made.exit_code == 1
    client.register()
    assert command("create-api-key", "ada@example.org", "--name", text).exit_code == 1


@pytest.mark.parametrize("username", ["7", "+7", "\uff17", " 7"])
def test_no_command_makes_a_username_of_digits(command: Command, username: str) -> None:
    made = command(
        *("create-user", "ada@example.org", "--username", username, "--password-stdin"),
        stdin=f"{PASSWORD}\n",
    )
    assert (made.exit_code, made.stdout) == (1, "")
    assert "not digits alone" in made.stderr
