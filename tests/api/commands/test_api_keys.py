"""The commands about API keys, as an administrator calls them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.commands.cli import cli
from tests.support.administrator import Sql, events, give_role
from tests.support.client import Client

Run = Callable[..., Any]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command on the test's database, away from anyone's .env."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, stdin="": CliRunner().invoke(cli, arguments, input=stdin)


def works(client: Client, key: str) -> bool:
    return client.me(key).status_code == 200


def test_the_key_alone_is_printed_and_works(client: Client, run: Run, sql: Sql) -> None:
    client.register()
    give_role(sql, "admin")

    made = run("create-api-key", "ada@example.org", "--name", "CI", "--scope", "introspect")

    assert made.exit_code == 0
    key = made.stdout.removesuffix("\n")
    assert client.me(key).json()["email"] == "ada@example.org"
    asked = client.http.post("/introspect", headers={"X-API-Key": key}, data={"token": key})
    assert asked.json()["scope"] == "introspect"
    assert sql("SELECT name, hint FROM api_keys") == [("CI", key[-4:])]
    assert "ada@example.org" in made.stderr
    assert sql("SELECT actor, subject FROM audit_events ORDER BY id")[-1] == ("command", "user:1")


def test_a_key_lives_as_long_as_is_said(
    client: Client, run: Run, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.register()
    for too_long in (["--never-expires"], ["--expires-in-days", "366"]):
        refused = run("create-api-key", "1", *too_long)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "365 days" in refused.stderr
    monkeypatch.setenv("COUNTERFOIL_MAX_API_KEY_DAYS", "0")
    run("create-api-key", "1", "--expires-in-days", "2")
    run("create-api-key", "1", "--never-expires")

    (first,), (second,) = sql("SELECT expires_at IS NULL FROM api_keys ORDER BY created_at")
    assert (bool(first), bool(second)) == (False, True)


@pytest.mark.parametrize("scope", ["account", "admin", "nonsense"])
def test_a_scope_that_cannot_be_given_is_refused(
    client: Client, run: Run, sql: Sql, scope: str
) -> None:
    client.register()
    refused = run("create-api-key", "ada@example.org", "--scope", scope)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert sql("SELECT count(*) FROM api_keys") == [(0,)]


def test_the_scopes_that_can_be_given_are_named(client: Client, run: Run, sql: Sql) -> None:
    client.register()
    for roles in ("none", "introspect, report"):
        refused = run("create-api-key", "ada@example.org", "--scope", "admin")
        assert f"cannot be given. Their roles give: {roles}.\n" in refused.stderr
        sql("UPDATE roles SET scopes = 'report introspect' WHERE name = 'user'")


def test_what_makes_no_sense_is_refused_in_one_line(client: Client, run: Run) -> None:
    client.register()
    unknown = run("create-api-key", "nobody@example.org")
    *_, reason = unknown.stderr.splitlines()
    assert (unknown.exit_code, reason) == (1, "counterfoil: There is no such user.")
    too_long = run("create-api-key", "ada@example.org", "--name", "x" * 201)
    assert (too_long.exit_code, too_long.stdout) == (1, "")
    assert run("create-api-key", "1", "--never-expires", "--expires-in-days", "1").exit_code == 2
    assert run("create-api-key", "1", "--expires-in-days", "0").exit_code == 2
    assert run("api-keys", "revoke").exit_code == 2
    assert run("api-keys", "revoke", "--key", "cfk_nonsense").exit_code == 1


def test_the_list_names_live_keys_without_showing_them(client: Client, run: Run, sql: Sql) -> None:
    ada, eve = client.sign_up(), client.sign_up("eve@example.org")
    made = client.create_api_key(ada)
    client.create_api_key(eve)
    # SQL lets anything through; a terminal must not obey it.
    sql(f"UPDATE api_keys SET name = 'Robot\n\x1b[2Jtwo' WHERE id = '{made['id']}'")

    everyone = run("api-keys", "list").stdout.splitlines()
    [line] = run("api-keys", "list", "--user", "ada@example.org").stdout.splitlines()

    assert len(everyone) == 2
    identifier, email, name, hint, *_ = line.split("\t")
    assert (identifier, email) == (made["id"], "ada@example.org")
    assert (name, hint) == ("Robot??[2Jtwo", f"...{made['hint']}")
    assert made["key"] not in line


def test_keys_are_revoked_by_id_by_the_key_itself_and_by_user(
    client: Client, run: Run, sql: Sql
) -> None:
    tokens = client.sign_up()
    made = [client.create_api_key(tokens) for _ in range(5)]
    keys = [key["key"] for key in made]

    assert run("api-keys", "revoke", "--id", made[0]["id"]).stdout == "1\n"
    assert run("api-keys", "revoke", "--key", keys[1]).stdout == "1\n"
    assert run("api-keys", "revoke", "--key", "-", stdin=f"{keys[2]}\n").stdout == "1\n"
    assert [works(client, key) for key in keys] == [False, False, False, True, True]
    assert run("api-keys", "revoke", "--user", "ada@example.org").stdout == "2\n"

    assert not any(works(client, key) for key in keys)
    assert events(sql).count("api_key.revoked") == 5


def test_the_keys_of_a_disabled_user_can_be_revoked_for_good(
    client: Client, run: Run, sql: Sql
) -> None:
    key = client.create_api_key(client.sign_up())["key"]
    assert run("disable-user", "ada@example.org").exit_code == 0
    assert run("api-keys", "revoke", "--user", "ada@example.org").stdout == "1\n"
    run("enable-user", "ada@example.org")
    assert not works(client, key)
