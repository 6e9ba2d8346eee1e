"""The commands of every day: users, roles, the audit log, the settings; what lists look like."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from harness.server import REPOSITORY
from tests.support.administrator import Sql, count, give_role, user_id
from tests.support.client import PASSWORD, Client

pytestmark = pytest.mark.one_database

Command = Callable[..., Result]


def listed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.both_databases
def test_users_are_listed_shown_renamed_and_deleted(
    command: Command, client: Client, sql: Sql
) -> None:
    tokens = client.sign_up(username="ada")
    client.register("other@example.org", name="Other")
    give_role(sql, "admin", "other@example.org")
    number = user_id(sql)
    [line] = command("users", "list", "--search", "ADA").stdout.splitlines()
    assert line.split("\t")[:6] == [str(number), "ada@example.org", "ada", "Ada", "yes", "user"]
    assert len(listed(command("users", "list", "--role", "admin", "--json"))) == 1
    shown = listed(command("users", "show", "ada", "--json"))
    assert (shown["id"], shown["roles"], shown["live_sessions"]) == (number, ["user"], 1)
    assert "hashed_password" not in shown
    renamed = command("users", "rename", "ada", "--surname", "Lovelace", "--username", "")
    assert renamed.exit_code == 0, renamed.stderr
    me = client.me(tokens).json()
    assert (me["surname"], me["username"]) == ("Lovelace", None)
    assert command("users", "rename", str(number), "--email", "").exit_code == 1
    assert command("users", "rename", str(number)).exit_code == 2
    assert command("users", "delete", str(number)).exit_code == 2
    assert command("users", "delete", str(number), "--yes").exit_code == 0
    assert client.me(tokens).status_code == 401
    assert command("users", "show", str(number)).exit_code == 1
    last = command("users", "delete", "other@example.org", "--yes")
    assert (last.exit_code, "last active administrator" in last.stderr) == (1, True)


def test_a_user_without_a_password_has_keys_and_cannot_log_in(
    command: Command, client: Client
) -> None:
    made = command("users", "create", "robot@example.org", "--no-password")
    assert made.exit_code == 0, made.stderr
    assert listed(command("users", "show", "robot@example.org", "--json"))["password"] is False
    for password in ("!", "none", PASSWORD):
        assert client.try_to_log_in("robot@example.org", password).status_code == 401
    key = command("api-keys", "create", "robot@example.org").stdout.strip()
    assert client.http.get("/users/me", headers={"X-API-Key": key}).status_code in {200, 403}
    assert listed(command("users", "show", "robot@example.org", "--json"))["live_api_keys"] == 1


def test_roles_are_created_granted_changed_revoked_and_deleted(
    command: Command, client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()

    def roles() -> Any:
        return client.me(tokens).json()["roles"]

    options = ("--scope", "a b", "--scope", "c", "--description", "Writes")
    assert command("roles", "create", "editor", *options).exit_code == 0
    assert command("roles", "grant", "ada@example.org", "editor").exit_code == 0
    assert roles() == ["editor", "user"]
    assert command("roles", "change", "editor", "--scope", "d").exit_code == 0
    [editor] = [one for one in listed(command("roles", "list", "--json")) if one["users"] == 1][:1]
    shown = {"name": "editor", "scopes": ["d"], "users": 1, "description": "Writes"}
    assert editor == {**shown, "requires_second_factor": False}
    assert command("roles", "change", "editor", "--no-scopes").exit_code == 0
    assert command("roles", "change", "editor").exit_code == 2
    strict = "--requires-second-factor"
    assert command("roles", "create", "strict", strict).exit_code == 0
    assert command("roles", "change", "editor", strict).exit_code == 0
    assert command("roles", "change", "strict", "--requires-no-second-factor").exit_code == 0
    found = listed(command("roles", "list", "--json"))
    assert [one["name"] for one in found if one["requires_second_factor"]] == ["editor"]
    assert command("roles", "revoke", "ada@example.org", "editor").exit_code == 0
    assert roles() == ["user"]
    assert command("roles", "delete", "editor").exit_code == 2
    assert command("roles", "delete", "editor", "--yes").exit_code == 0
    for words in (
        ("roles", "grant", "ada@example.org", "editor"),
        ("roles", "revoke", "ada@example.org", "editor"),
        ("roles", "delete", "editor", "--yes"),
        ("roles", "delete", "user", "--yes"),
        ("roles", "create", "ADMIN"),
        ("roles", "create", "a,b"),
        ("roles", "create", "x", "--scope", "a;b"),
        ("roles", "create", "\udcff"),
    ):
        refused = command(*words)
        assert (refused.exit_code, refused.stdout) == (1, ""), words


@pytest.mark.both_databases
def test_the_audit_log_is_filtered(command: Command, client: Client, sql: Sql) -> None:
    client.sign_up()
    client.sign_up("other@example.org")
    number = user_id(sql)
    all_events = listed(command("audit", "list", "--json"))
    assert [one["id"] for one in all_events] == sorted(
        (one["id"] for one in all_events), reverse=True
    )
    of_ada = listed(command("audit", "list", "--user", "ada@example.org", "--json"))
    assert {one["subject"] for one in of_ada} == {f"user:{number}"}
    [login] = listed(
        command("audit", "list", "--user", str(number), "--event", "login.succeeded", "--json")
    )
    assert login["detail"]["session"]
    assert listed(command("audit", "list", "--until", "2020-01-01", "--json")) == []
    assert len(listed(command("audit", "list", "--since", "2020-01-01T10:00", "--json"))) == len(
        all_events
    )
    assert command("audit", "list", "--since", "yesterday").exit_code == 2


@pytest.mark.parametrize("what", ["users", "sessions", "api-keys", "audit", "roles"])
def test_lists_have_headers_a_limit_and_json(
    command: Command, client: Client, sql: Sql, what: str
) -> None:
    for number in range(3):
        tokens = client.sign_up(f"user{number}@example.org")
        client.create_api_key(tokens)
    # No door accepts such names, but they may have been inserted.
    sql("UPDATE users SET name = 'a\x1b[2J\tb'")
    sql("UPDATE sessions SET client_id = 'a\x1b[2J\tb'")
    limited = command(what, "list", "--limit", "2", "--headers")
    assert limited.exit_code == 0, limited.stderr
    header, *rows = limited.stdout.splitlines()
    assert len(rows) == 2
    assert "There are more than these 2" in limited.stderr
    assert {len(line.split("\t")) for line in (header, *rows)} == {len(header.split("\t"))}
    assert "\x1b" not in limited.stdout
    assert command(what, "list", "--limit", "2").stdout.splitlines() == rows
    assert list(listed(command(what, "list", "--json"))[0]) == header.split("\t")
    assert command(what, "list", "--limit", "0").exit_code == 2


@pytest.mark.both_databases
def test_each_command_names_its_database_and_creates_none(
    command: Command, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = f"Database: {database_url.partition('?')[0]}"
    for line in ("users list", "check", "migrate", "prune --dry-run"):
        assert command(*line.split()).stderr.splitlines()[0].startswith(named[:24])
    monkeypatch.setenv("DATABASE_URL", "sqlite:///elsewhere.db")
    for line in (
        *("users list", "roles list", "audit list", "prune", "check", "sessions revoke --all"),
        "users create a@example.org --no-password",
    ):
        refused = command(*line.split())
        assert (refused.exit_code, refused.stdout) == (1, ""), line
        assert "sqlite:///elsewhere.db cannot be used: there is no such file" in refused.stderr
    monkeypatch.delenv("DATABASE_URL")
    assert "(DATABASE_URL is not set)" in command("users", "list").stderr
    assert not list(tmp_path.glob("elsewhere*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_settings_are_shown_without_secrets(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:s3cret@db/counterfoil")
    monkeypatch.setenv("COUNTERFOIL_MAIL_URL", "smtps://ada:s3cret@mail.example.org")
    monkeypatch.setenv("COUNTERFOIL_METRICS_TOKEN", "s3cret-s3cret-s3cret")
    monkeypatch.setenv("COUNTERFOIL_MAIL_FROM", "a@example.org")
    for words in (("settings", "show"), ("settings", "show", "--json")):
        shown = command(*words)
        assert shown.exit_code == 0, shown.output
        assert "s3cret" not in shown.output
    found = {one["name"]: one for one in json.loads(shown.stdout)}
    assert found["COUNTERFOIL_DATABASE_URL"]["value"] == "postgresql://ada:***@db/counterfoil"
    assert found["COUNTERFOIL_BCRYPT_ROUNDS"]["origin"] == "set"
    assert found["COUNTERFOIL_ACCESS_TOKEN_SECONDS"] == {
        "name": "COUNTERFOIL_ACCESS_TOKEN_SECONDS",
        "value": "3600",
        "origin": "default",
    }
    monkeypatch.setenv("COUNTERFOIL_BCRYPT_ROUNDS", "99")
    assert command("settings", "show").exit_code == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_settings_come_from_the_file_of_a_unit_and_the_environment_goes_first(
    command: Command, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "environment"
    file.write_text(
        "# As systemd reads it.\n"
        f"DATABASE_URL='{database_url}'\n"
        "COUNTERFOIL_BCRYPT_ROUNDS=5\n"
        'COUNTERFOIL_ISSUER="https://auth.example.org/$HOME"\n'
    )
    for name in ("DATABASE_URL", "COUNTERFOIL_ISSUER"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    shown = command("--settings-file", str(file), "settings", "show", "--json")
    found = {one["name"]: one["value"] for one in listed(shown)}
    assert found["COUNTERFOIL_DATABASE_URL"] == database_url
    assert found["COUNTERFOIL_BCRYPT_ROUNDS"] == "4"
    assert found["COUNTERFOIL_ISSUER"] == "https://auth.example.org/$HOME"
    assert command("--settings-file", str(tmp_path / "none"), "check").exit_code == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_program_that_is_installed_tells_its_version_and_completes(
    database_url: str, tmp_path: Path
) -> None:
    program = tmp_path / "counterfoil"
    program.symlink_to(REPOSITORY / "deploy" / "counterfoil")

    def run(*words: str, **environment: str) -> str:
        settings = {"DATABASE_URL": database_url, "PATH": os.environ["PATH"], **environment}
        done = subprocess.run(
            [program, *words], env=settings, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run("--version").startswith("counterfoil ")
    completing = {"COMP_WORDS": "counterfoil users re", "COMP_CWORD": "2"}
    assert run(_COUNTERFOIL_COMPLETE="complete_bash", **completing).split() == ["rename"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_asks_by_the_variable_that_is_answered(
    command: Command, shell: str
) -> None:
    script = command("completion", shell)
    assert script.exit_code == 0
    assert "_COUNTERFOIL_COMPLETE=complete_" in script.stdout
    assert "counterfoil" in script.stdout
    assert command("completion", "cmd").exit_code == 2


@pytest.mark.parametrize(
    "line",
    [
        *("users list --search {}", "users list --role {}", "users show {}", "roles grant {} user"),
        *("audit list --event {}", "audit list --actor {}", "audit list --ip {}"),
        *("users rename ada@example.org --name {}", "roles create x --description {}"),
        *("import-users {}", "import-tokens {} --from knox"),
    ],
)
def test_an_argument_that_is_not_utf8_is_said_in_one_line(
    command: Command, client: Client, line: str
) -> None:
    client.register()
    done = command(*line.format("\udcff").split())
    assert done.stdout in {"", "0\n"}
    assert done.exit_code in {0, 1}, done.exception
    assert done.exit_code == 0 or done.stderr.splitlines()[-1].startswith("counterfoil: ")


def test_no_user_is_deleted_by_a_name_that_is_unknown(command: Command, sql: Sql) -> None:
    for words in (("users", "delete", "nobody", "--yes"), ("users", "rename", "x", "--name", "y")):
        assert command(*words).exit_code == 1
    assert count(sql, "audit_events") == 0
