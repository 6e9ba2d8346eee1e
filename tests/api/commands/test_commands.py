"""The commands: results on stdout, talk on stderr, a clear line instead of a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.commands.cli import cli
from authentication.settings import AuthenticationSettings
from harness.postgresql import DatabaseServer
from harness.server import REPOSITORY
from tests.support.administrator import Sql, events, give_role, user_id
from tests.support.client import PASSWORD, Client

pytestmark = pytest.mark.one_database

Command = Callable[..., Result]
NEW = "another correct horse"


def assert_failed(result: Result, message: str, status: int = 1) -> None:
    assert result.exit_code == status, (result.output, result.exception)
    assert result.stdout == ""
    assert message in result.stderr
    if status == 1:
        *named, reason = result.stderr.splitlines()
        assert reason.startswith("counterfoil: ")
        assert [line.startswith("Database: ") for line in named] in ([], [True])


def create(command: Command, *words: str, password: str = PASSWORD) -> Result:
    return command("create-user", *words, "--password-stdin", stdin=password + "\n")


@pytest.mark.both_databases
def test_a_user_made_by_command_logs_in(command: Command, client: Client, sql: Sql) -> None:
    result = create(command, "Ada@example.org", "--username", "ada", "--role", "admin")
    assert result.exit_code == 0
    assert result.stdout == f"{user_id(sql)}\n"
    assert "ada@example.org" in result.stderr
    me = client.me(client.log_in()).json()
    assert (me["name"], me["username"], me["roles"]) == ("Ada", "ada", ["admin", "user"])
    assert sql("SELECT actor FROM audit_events WHERE event = 'user.created'") == [("command",)]


def test_a_name_may_be_given_and_roles_repeated(command: Command, client: Client) -> None:
    roles = ("--role", "moderator", "--role", "admin", "--role", "user")
    assert create(command, "ada@example.org", "--name", "Ada L.", *roles).exit_code == 0
    me = client.me(client.log_in()).json()
    assert (me["name"], me["roles"]) == ("Ada L.", ["admin", "moderator", "user"])


def test_what_cannot_become_a_user_is_said_in_one_line(command: Command, client: Client) -> None:
    client.register("taken@example.org", username="taken")
    for words, password, message in [
        (["no address"], PASSWORD, "not an e-mail address"),
        (["ad\udcffa@example.org"], PASSWORD, "not an e-mail address"),
        (["ada@example.org", "--role", "king"], PASSWORD, "no such role"),
        (["ada@example.org", "--role", "\udcff"], PASSWORD, "no such role"),
        (["ada@example.org", "--username", "a b"], PASSWORD, "letters, digits"),
        (["ada@example.org", "--name", "x" * 201], PASSWORD, "1 to 200"),
        (["ada@example.org", "--name", "\udcff"], PASSWORD, "visible characters"),
        (["ada@example.org", "--name", "a\nb"], PASSWORD, "visible characters"),
        (["ada@example.org"], "", "at least 8"),
        (["ada@example.org"], "passwordpassword", "most common"),
        (["ada@example.org"], "ada@example.org", "your address"),
        (["ada@example.org"], "x" * 5000, "at most 1,024"),
        (["taken@example.org"], PASSWORD, "exists already"),
        (["TAKEN@example.org"], PASSWORD, "exists already"),
        (["ada@example.org", "--username", "TAKEN"], PASSWORD, "exists already"),
    ]:
        result = create(command, *words, password=password)
        assert_failed(result, message)
        assert PASSWORD not in result.stderr


def test_a_password_is_never_taken_from_the_command_line(command: Command) -> None:
    assert command("create-user", "ada@example.org", "--password", PASSWORD).exit_code == 2
    assert_failed(command("create-user", "ada@example.org"), "--password-stdin", status=2)


@pytest.mark.both_databases
def test_setting_a_password_ends_every_session(command: Command, client: Client) -> None:
    tokens = client.sign_up()
    result = command("set-password", "ada@example.org", "--password-stdin", stdin=NEW + "\r\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert NEW not in result.stderr
    assert client.me(tokens).status_code == 401
    assert client.refresh(tokens.refresh_token).status_code == 400
    assert client.try_to_log_in().status_code == 401
    client.log_in(password=NEW)


def test_a_weak_password_is_not_set(command: Command, client: Client) -> None:
    tokens = client.sign_up()
    for weak in ["short", "passwordpassword", "ada@example.org", "\ufdfa" * 500]:
        result = command("set-password", "ada@example.org", "--password-stdin", stdin=weak + "\n")
        assert result.exit_code == 1
        assert client.me(tokens).status_code == 200


def test_a_disabled_user_is_refused_until_enabled_and_old_sessions_stay_ended(
    command: Command, client: Client
) -> None:
    tokens = client.sign_up(username="ada")
    number = str(client.me(tokens).json()["id"])
    assert command("disable-user", "ada").exit_code == 0
    assert client.me(tokens).status_code == 401
    assert client.try_to_log_in().status_code == 401
    assert command("enable-user", number).exit_code == 0
    assert client.me(tokens).status_code == 401
    assert client.refresh(tokens.refresh_token).status_code == 400
    client.log_in()


def test_the_last_administrator_cannot_be_disabled(
    command: Command, client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    give_role(sql, "admin")
    assert_failed(command("disable-user", "ada@example.org"), "last active administrator")
    assert client.me(tokens).status_code == 200


def test_a_user_who_is_not_there_is_said_so(command: Command) -> None:
    for who in [
        "nobody",
        "nobody@example.org",
        "0",
        "987654",
        "9" * 30,
        "2147483648",
        "",
        "\udcff",
        "٤",
    ]:
        for words in [["disable-user"], ["sessions", "revoke", "--user"]]:
            assert_failed(command(*words, who), "There is no such user.")


@pytest.mark.both_databases
def test_sessions_are_listed_one_a_line_without_a_token(command: Command, client: Client) -> None:
    client.register()
    tokens = client.log_in(client_id="phone")
    client.sign_up("other@example.org")
    lines = command("sessions", "list").stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].split("\t")[1:3] == ["other@example.org", "-"]
    [session] = client.sessions(tokens)
    [mine] = command("sessions", "list", "--user", "ada@example.org").stdout.splitlines()
    assert mine.split("\t")[:3] == [session["id"], "ada@example.org", "phone"]
    assert tokens.access_token not in mine


def test_the_sessions_of_a_user_are_revoked(command: Command, client: Client) -> None:
    tokens = [client.sign_up(), client.log_in()]
    bystander = client.sign_up("other@example.org")
    result = command("sessions", "revoke", "--user", "ada@example.org")
    assert (result.exit_code, result.stdout) == (0, "2\n")
    assert [client.me(one).status_code for one in tokens] == [401, 401]
    assert client.refresh(tokens[0].refresh_token).status_code == 400
    assert client.me(bystander).status_code == 200


def test_one_session_is_revoked_by_its_id(command: Command, client: Client) -> None:
    tokens, other = client.sign_up(), client.log_in()
    [number] = [one["id"] for one in client.sessions(other) if not one["current"]]
    result = command("sessions", "revoke", "--id", number)
    assert (result.exit_code, result.stdout) == (0, "1\n")
    assert client.me(tokens).status_code == 401
    assert client.me(other).status_code == 200
    assert_failed(command("sessions", "revoke", "--id", number), "no such live session")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("from_stdin", [False, True])
def test_the_session_of_a_token_is_revoked(
    command: Command, client: Client, kind: str, from_stdin: bool
) -> None:
    tokens, other = client.sign_up(), client.log_in()
    token = getattr(tokens, kind)
    if from_stdin:
        result = command("sessions", "revoke", "--token", "-", stdin=token + "\n")
    else:
        result = command("sessions", "revoke", "--token", token)
    assert (result.exit_code, result.stdout) == (0, "1\n")
    assert client.me(tokens).status_code == 401
    assert client.refresh(tokens.refresh_token).status_code == 400
    assert client.me(other).status_code == 200


def test_a_token_that_is_none_is_not_repeated(command: Command) -> None:
    for token in ["x", "", "\udcff", "cfa_" + "a" * 49]:
        assert_failed(command("sessions", "revoke", "--token", token), "There is no such token.")


@pytest.mark.both_databases
def test_every_session_of_everyone_is_revoked(command: Command, client: Client) -> None:
    everyone = [client.sign_up(f"user{number}@example.org") for number in range(3)]
    result = command("sessions", "revoke", "--all")
    assert (result.exit_code, result.stdout) == (0, "3\n")
    assert {client.me(tokens).status_code for tokens in everyone} == {401}
    client.log_in("user0@example.org")


def test_what_to_revoke_must_be_said_once(command: Command) -> None:
    for words in [[], ["--all", "--user", "ada"], ["--id", "no-uuid"]]:
        assert command("sessions", "revoke", *words).exit_code == 2


OLD = "'2020-01-01 00:00:00'"


def counts(result: Result) -> dict[str, int]:
    assert result.exit_code == 0, result.output
    return {
        name: int(rows) for name, rows in (line.split("\t") for line in result.stdout.splitlines())
    }


@pytest.mark.both_databases
def test_pruning_removes_what_ended_long_ago_and_nothing_else(
    command: Command, client: Client, sql: Sql
) -> None:
    client.register()
    revoked, expired, live = client.log_in(), client.log_in(), client.log_in()
    client.http.post("/logout", headers=revoked.headers)
    sql(f"UPDATE sessions SET revoked_at = {OLD} WHERE revoked_at IS NOT NULL")
    [_, oldest] = [one["id"] for one in client.sessions(live)]
    sql(f"UPDATE sessions SET expires_at = {OLD} WHERE id = '{oldest}'")

    foreseen = counts(command("prune", "--dry-run"))
    assert foreseen["sessions"] == 2
    assert sql("SELECT count(*) FROM sessions") == [(3,)]
    assert counts(command("prune")) == foreseen
    assert counts(command("prune"))["sessions"] == 0

    assert sql("SELECT count(*) FROM sessions") == [(1,)]
    assert sql("SELECT count(*) FROM access_tokens") == [(1,)]
    assert client.me(live).status_code == 200
    assert client.me(expired).status_code == 401


@pytest.mark.both_databases
def test_pruning_keeps_what_ended_lately_and_what_betrays_a_theft(
    command: Command, client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    successor = client.refresh(tokens.refresh_token).json()["refresh_token"]
    client.refresh(successor)
    ended = client.log_in()
    client.http.post("/logout", headers=ended.headers)
    pruned = counts(command("prune", "--keep-days", "1"))
    # Counters are of no use as soon as a login has reset them.
    assert {table for table, rows in pruned.items() if rows} <= {"throttle_counters"}
    assert counts(command("prune", "--keep-days", "0"))["sessions"] == 1
    assert sql("SELECT count(*) FROM access_tokens") == [(3,)]
    client.refresh(tokens.refresh_token)
    assert events(sql)[-1] == "token.refresh_reused"


def test_days_to_keep_must_make_sense(command: Command) -> None:
    for days in ["-1", "x", "1000000000"]:
        assert command("prune", "--keep-days", days).exit_code == 2


@pytest.mark.both_databases
def test_a_check_finds_everything_in_order(command: Command, client: Client, sql: Sql) -> None:
    result = command("check")
    assert (result.exit_code, result.stdout) == (0, "ok\n")
    assert "no administrator" in result.stderr
    client.register()
    give_role(sql, "admin")
    assert "no administrator" not in command("check").stderr


@pytest.mark.parametrize("words", [["check"], ["create-user", "ada@example.org"], ["prune"]])
@pytest.mark.both_databases
def test_a_database_without_tables_is_said_to_need_migrating(
    command: Command,
    words: list[str],
    tmp_path: Path,
    database_url: str,
    postgresql: DatabaseServer,
    worker_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"empty_{worker_id}"
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    if database_url.startswith("postgresql"):
        postgresql.drop_database(name)
        url = postgresql.create_database(name)
    monkeypatch.setenv("DATABASE_URL", url)
    stdin = ["--password-stdin"] if words[0] == "create-user" else []
    result = command(*words, *stdin, stdin=PASSWORD)
    assert_failed(result, "run `python api.py migrate`")
    assert command("migrate").exit_code == 0
    assert command(*words, *stdin, stdin=PASSWORD).exit_code == 0
    postgresql.drop_database(name)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cret@127.0.0.1:1/none",
        "sqlite:////no/such/folder/counterfoil.db",
        f"sqlite:///{REPOSITORY / 'pyproject.toml'}",
    ],
)
@pytest.mark.parametrize("words", [["check"], ["migrate"], ["sessions", "list"]])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_cannot_be_used_is_said_so_without_its_password(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    result = command(*words)
    assert_failed(result, " cannot be used: ")
    assert "s3cret" not in result.stderr


WRONG = [
    ({"COUNTERFOIL_BCRYPT_ROUNDS": "3"}, "COUNTERFOIL_BCRYPT_ROUNDS"),
    ({"COUNTERFOIL_ACCESS_TOKEN_SECONDS": "soon"}, "COUNTERFOIL_ACCESS_TOKEN_SECONDS"),
    ({"COUNTERFOIL_SESSION_LIMIT_POLICY": "evict-all"}, "COUNTERFOIL_SESSION_LIMIT_POLICY"),
    ({"DATABASE_URL": "mysql://ada:s3cret@host/db"}, "DATABASE_URL"),
    ({"DATABASE_URL": "s3cret"}, "DATABASE_URL"),
    ({"DATABASE_URL": "postgresql://ada:s3cret"}, "DATABASE_URL"),
    ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL"),
]


@pytest.mark.parametrize(("settings", "name"), WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wrong_setting_is_said_in_one_line_without_its_value(
    command: Command, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], name: str
) -> None:
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    result = command("check")
    assert_failed(result, name, status=3)
    assert "s3cret" not in result.stderr


def launch(
    folder: Path, *words: str, settings: dict[str, str], stdin: bytes = b""
) -> tuple[int, str, str]:
    """Run the launcher itself, as a person does."""
    kept = {name: value for name, value in os.environ.items() if "COUNTERFOIL" not in name}
    environment = {**kept, "DATABASE_URL": f"sqlite:///{folder / 'counterfoil.db'}", **settings}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "api.py"), *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("word", "name", "message"),
    [
        ("check", "COUNTERFOIL_COLOUR", "there is no such setting"),
        ("serve", "COUNTERFOIL_PORT", "Input should be a valid integer"),
    ],
)
def test_a_slip_in_the_settings_of_any_layer_stops_every_command(
    tmp_path: Path, word: str, name: str, message: str
) -> None:
    status, out, err = launch(tmp_path, word, settings={name: "s3cret"})
    # The application is put together before the command is read, as under any server.
    assert (status, out) == (3, "")
    assert err.startswith(f"counterfoil: {name}: {message}")
    assert err.count("\n") == 1
    assert "s3cret" not in err


def test_a_password_that_is_not_utf8_is_refused_without_a_traceback(tmp_path: Path) -> None:
    words = ("create-user", "ada@example.org", "--password-stdin")
    # Python would take the POSIX locale for UTF-8 otherwise, and refuse the bytes by itself.
    posix = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    status, out, err = launch(tmp_path, *words, settings=posix, stdin=b"\xff\xfe horse battery\n")
    assert (status, out) == (2, "")
    assert "not UTF-8" in err
    assert "Traceback" not in err


def test_the_launcher_lists_the_commands_and_refuses_unknown_ones(tmp_path: Path) -> None:
    status, out, _ = launch(tmp_path, "--help", settings={})
    assert status == 0
    for name in ("serve", "migrate", "create-user", "set-password", "sessions", "prune", "check"):
        assert name in out
    assert CliRunner().invoke(cli, ["destroy-everything"]).exit_code == 2


def test_a_number_in_the_settings_may_be_lifted_by_the_word_none(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_API_KEY_SECONDS", "none")
    monkeypatch.setenv("COUNTERFOIL_MAX_SESSIONS_PER_USER", "none")
    settings = AuthenticationSettings()
    assert settings.api_key_seconds is settings.max_sessions_per_user is None
