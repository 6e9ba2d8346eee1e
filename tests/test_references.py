"""The pages that are made from the code are what the code is, and their examples run."""

import os
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api import app
from api.commands.cli import cli
from api.settings import load
from harness.server import REPOSITORY
from scripts.docs import command_reference, endpoint_reference, settings_reference, table_reference
from scripts.docs.command_examples import EXAMPLES
from scripts.docs.references import GENERATORS
from scripts.docs.table_meanings import COLUMNS, TABLES, VIEW
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD, Client
from tests.support.factors import SECRET_KEY


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with nothing set."""
    for name in list(os.environ):
        if name.startswith("COUNTERFOIL_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", GENERATORS, ids=lambda page: page.name)
def test_a_page_is_made_from_the_code(page: Path) -> None:
    assert page.read_text() == GENERATORS[page](), "run `python -m scripts.docs.references`"


def test_the_example_spells_out_the_defaults(no_settings: Path) -> None:
    defaults = load()
    example = settings_reference.ENV_EXAMPLE.read_text()
    lines = re.findall(r"^# ([A-Z_]+=.*)$", example, re.MULTILINE)
    assert len(lines) == sum(len(type(layer).model_fields) for layer in defaults)

    # One depends on the machine, and so has no value to spell out.
    written = [line for line in lines if line != "COUNTERFOIL_HASHING_THREADS="]
    (no_settings / ".env").write_text("\n".join(written))
    assert load() == defaults


def test_none_takes_a_limit_away(no_settings: Path) -> None:
    (no_settings / ".env").write_text("COUNTERFOIL_API_KEY_SECONDS=none")
    assert load().authentication.api_key_seconds is None


def test_the_readme_names_settings_that_exist_with_their_defaults() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| `([^`]*)` \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE
    )
    known = {
        setting.name: setting.default
        for layer in settings_reference.layers().values()
        for setting in settings_reference.read(layer)
    }
    assert rows
    assert dict(rows).items() <= known.items()


def test_settings_that_are_mentioned_anywhere_exist() -> None:
    known = {
        setting.name
        for layer in settings_reference.layers().values()
        for setting in settings_reference.read(layer)
    }
    # Goes before DATABASE_URL, which may be that of an application.
    known.add("COUNTERFOIL_DATABASE_URL")
    for page in [*(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*.md")]:
        named = set(re.findall(r"COUNTERFOIL_[A-Z_]+", page.read_text()))
        assert named <= known, page.name


def test_every_command_has_an_example_and_the_other_way_round() -> None:
    assert [name for name, _ in command_reference.commands()] == sorted(EXAMPLES)


@pytest.fixture
def folder(
    client: Client,
    sql: Sql,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    """Where the files of the examples are, and Ada in the database."""
    tokens = client.sign_up()
    give_role(sql, "admin")
    # The last administrator could not be disabled.
    client.register("charles@example.org")
    give_role(sql, "admin", "charles@example.org")
    key = client.create_api_key(tokens)["key"]
    if "create" not in request.node.name:
        sql(
            "INSERT INTO oauth_clients (id, name, grants, secret_digest)"
            f" VALUES ('calendar', 'Calendar', '', X'{'00' * 32}')"
        )
    files = {"password.txt": f"{PASSWORD} too", "token.txt": tokens.access_token, "key.txt": key}
    for name, content in files.items():
        (tmp_path / name).write_text(f"{content}\n")
    (tmp_path / "users.csv").write_text("email,name\ngrace@example.org,Grace\n")
    with closing(sqlite3.connect(tmp_path / "django.db")) as django:
        django.execute("CREATE TABLE auth_user (id, email)")
        django.execute("CREATE TABLE knox_authtoken (digest, created, expiry, user_id)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What commands do on either database is tested beside their code.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"demo", "serve"}))
def test_an_example_of_a_command_does_its_work(name: str, database_url: str, folder: Path) -> None:
    for line in EXAMPLES[name].replace("\\\n", "").splitlines():
        status, printed = run(line, database_url)
        assert status == 0, f"{line}\n{printed}"


def test_the_example_of_demo_fills_an_empty_database(database_url: str, sql: Sql) -> None:
    status, printed = run(EXAMPLES["demo"], database_url)
    assert status == 0, printed
    assert sql("SELECT count(*) FROM users") == [(20,)]


def test_the_example_of_serve_names_options_that_exist() -> None:
    _, _, *arguments = shlex.split(EXAMPLES["serve"])
    # Other tests serve; here it is enough that the words are understood.
    command = command_reference.group().commands[arguments[0]]
    assert command.make_context("serve", arguments[1:]).params["workers"] == 2


def run(line: str, database_url: str) -> tuple[int, str]:
    """Run a line of an example in this process, with what it reads from a file."""
    words, _, source = line.partition(" <")
    python, program, *arguments = shlex.split(words)
    assert (python, program) == ("python", "api.py")
    environment = {
        "DATABASE_URL": database_url,
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_FOREIGN_TOKENS_UNTIL": "2999-12-31",
        "COUNTERFOIL_MAIL_URL": "file:mail",
        "COUNTERFOIL_SECRET_KEYS": SECRET_KEY,
        "COUNTERFOIL_MAIL_FROM": "no-reply@example.org",
    }
    done = CliRunner(env=environment).invoke(
        cli, arguments, input=Path(source).read_text() if source else None
    )
    return done.exit_code, done.output


def test_a_command_that_is_mentioned_anywhere_exists() -> None:
    group = command_reference.group()
    for page in [*(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*.md")]:
        for words in re.findall(r"python api\.py ([a-z][a-z -]*)", page.read_text()):
            names = words.split()
            command = group.commands[names[0]]
            if hasattr(command, "commands") and len(names) > 1:
                assert names[1] in command.commands, f"{page.name}: {words}"


def test_every_column_has_a_meaning_and_no_other_has() -> None:
    existing = {f"{table.name}.{one.name}" for table in table_reference.tables() for one in table.c}
    assert existing == set(COLUMNS)
    metadata = table_reference.tables()[0].metadata
    assert set(metadata.tables) == set(TABLES)


def test_the_view_has_the_columns_that_are_listed(sql: Sql, client: Client) -> None:
    client.sign_up()
    (row,) = sql(f"SELECT {', '.join(VIEW)} FROM live_sessions")
    (whole,) = sql("SELECT * FROM live_sessions")
    assert row == whole


def test_paths_outside_of_the_description_are_listed_too() -> None:
    page = endpoint_reference.REFERENCE.read_text()
    described = {path for path, _, _ in endpoint_reference.operations()}
    served = {re.sub(r":\w+}", "}", getattr(route, "path", "")) for route in app.routes}
    assert [path for path in served - described if path not in page] == []


def test_an_api_key_has_no_session_to_end(client: Client) -> None:
    key = client.create_api_key(client.sign_up())["key"]
    refused = client.http.post("/logout", headers={"X-API-Key": key})
    assert refused.json()["code"] == "session_required"
