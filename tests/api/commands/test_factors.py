"""The commands factors list, factors remove, secret-key and secret-key rotate."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from api.commands.cli import cli
from authentication.factors import sealing
from tests.support import factors
from tests.support.administrator import Sql, count, events, user_id
from tests.support.client import PASSWORD, Client, MakeClient, Tokens
from tests.support.factors import App

pytestmark = pytest.mark.one_database

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str) -> Run:
    def run(*arguments: str, keys: str = factors.SECRET_KEY) -> Result:
        environment = {"DATABASE_URL": database_url, "COUNTERFOIL_SECRET_KEYS": keys}
        return CliRunner(env=environment).invoke(cli, arguments, input=f"{PASSWORD} 2\n")

    return run


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(secret_keys=(factors.SECRET_KEY,))


@pytest.fixture
def tokens(client: Client) -> Tokens:
    return client.sign_up()


@pytest.fixture
def app(client: Client, tokens: Tokens, sql: Sql) -> App:
    return factors.enrol(client, tokens, sql)


@pytest.mark.usefixtures("app")
def test_who_sets_a_password_is_told_of_factors_that_somebody_else_may_have_added(
    run: Run, client: Client
) -> None:
    client.sign_up("eve@example.org")
    said = {
        email: run("set-password", email, "--password-stdin").stderr
        for email in ("ada@example.org", "eve@example.org")
    }
    assert "Their second factors stay: see `factors list`.\n" in said["ada@example.org"]
    assert "second factors" not in said["eve@example.org"]


def test_factors_are_listed_and_removed(
    run: Run, client: Client, tokens: Tokens, app: App, sql: Sql
) -> None:
    listed = run("factors", "list", "ada@example.org")
    assert listed.stdout.startswith(f"{app.id}\ttotp\tAda's app\t")
    database, left = listed.stderr.splitlines()
    assert database.startswith("Database: ")
    assert left == "10 recovery codes are left."
    waiting = factors.mfa_token(client.try_to_log_in())
    removed = run("factors", "remove", str(user_id(sql)))
    assert (removed.exit_code, removed.stdout) == (0, "1\n")
    assert client.me(tokens).status_code == 401
    assert factors.complete(client, waiting, code=app.code()).status_code == 401
    assert [count(sql, table) for table in ("totp_factors", "recovery_codes")] == [0, 0]
    assert client.try_to_log_in().status_code == 200
    assert "factors.removed" in events(sql)
    assert run("factors", "remove", "nobody@example.org").exit_code == 1


@pytest.mark.both_databases
def test_keys_are_made_and_rotated(run: Run, make_client: MakeClient, app: App) -> None:
    new = run("secret-key").stdout.strip()
    assert len(sealing.read_key(new)) == 32
    assert run("secret-key", "rotate", keys=f"{new},{factors.SECRET_KEY}").stdout == "1\n"
    assert run("secret-key", "rotate", keys=f"{new},{factors.SECRET_KEY}").stdout == "0\n"
    client = make_client(secret_keys=(new,))
    assert client.me(factors.log_in(client, app)).status_code == 200


def test_what_no_key_opens_is_told_when_keys_are_rotated(run: Run, app: App) -> None:
    failed = run("secret-key", "rotate", keys=sealing.create_key())
    assert (failed.exit_code, failed.stdout) == (1, "0\n")
    assert "1 secrets of authenticator apps cannot be decrypted" in failed.stderr
    missing = run("secret-key", "rotate", keys="")
    assert (missing.exit_code, missing.stdout) == (1, "")
