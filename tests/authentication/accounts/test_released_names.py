"""Names that are given up: nobody else can take them for a while."""

from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import Response
from typer.testing import CliRunner

from api.commands.cli import cli
from authentication.pruning.prune import Retention, prune_all
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql, count
from tests.support.client import PASSWORD, Client, Tokens
from tests.support.clock import Clock

pytestmark = pytest.mark.one_database

MakeClient = Callable[..., Client]
DAY = 86_400


@pytest.fixture
def pass_days(sql: Sql, database_url: str) -> Callable[[float], object]:
    """Lets time pass for all released names that end in so many days at most."""
    clock = Clock(database_url)

    def let_pass(days: float) -> object:
        return sql(
            f"UPDATE released_names SET ends_at = {clock.in_seconds(-1)}"
            f" WHERE ends_at < {clock.in_seconds(int(days * DAY))}"
        )

    return let_pass


def patch(client: Client, tokens: Tokens, **fields: Any) -> Response:
    body = {"current_password": PASSWORD, **fields}
    return client.http.patch("/users/me", json=body, headers=tokens.headers)


def rename(client: Client, tokens: Tokens) -> None:
    assert patch(client, tokens, email="new@example.org", username="new").status_code == 200


def delete(client: Client, tokens: Tokens) -> None:
    assert client.http.delete("/users/me", headers=tokens.headers).status_code == 204


@pytest.mark.parametrize("give_up", [rename, delete])
@pytest.mark.both_databases
def test_nobody_else_takes_a_name_that_was_just_given_up(
    client: Client, give_up: Callable[[Client, Tokens], None]
) -> None:
    give_up(client, client.sign_up(username="Ada"))
    other = client.sign_up("other@example.org")
    for email in ("ada@example.org", "ADA@example.org", "\uff41da@example.org"):
        assert client.register(email).json()["code"] == "email_taken"
        assert patch(client, other, email=email).json()["code"] == "email_taken"
    for username in ("ada", "ADA"):
        refused = client.register("third@example.org", username=username)
        assert (refused.status_code, refused.json()["code"]) == (409, "username_taken")
        assert patch(client, other, username=username).json()["code"] == "username_taken"
    assert client.me(other).json()["username"] is None


def test_a_username_that_is_removed_is_given_up_too(client: Client) -> None:
    tokens = client.sign_up(username="ada")
    assert patch(client, tokens, username=None).status_code == 200
    assert client.register("other@example.org", username="ada").status_code == 409


def test_a_command_gives_it_to_nobody_else_either(
    client: Client, service_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    delete(client, client.sign_up())
    monkeypatch.setenv("DATABASE_URL", service_url)
    monkeypatch.chdir(str(tmp_path))
    words = ["create-user", "ada@example.org", "--password-stdin"]
    result = CliRunner().invoke(cli, words, input=f"{PASSWORD}\n")
    assert (result.exit_code, "until recently" in result.stderr) == (1, True)


def test_the_same_account_takes_it_back_at_once_and_may_give_it_up_again(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up(username="ada")
    for _ in range(12):
        rename(client, tokens)
        assert patch(client, tokens, email="ada@example.org", username="ada").status_code == 200
    assert count(sql, "released_names") == 2, "the other two names"


@pytest.mark.parametrize(("days", "until"), [(3, 3.1), (45, 45.1)])
@pytest.mark.both_databases
def test_after_the_time_that_is_set_anybody_takes_it(
    make_client: MakeClient, pass_days: Callable[[float], object], days: int, until: float
) -> None:
    client = make_client(released_name_days=days)
    delete(client, client.sign_up(username="ada"))
    pass_days(days - 0.1)
    assert client.register(username="ada").status_code == 409
    pass_days(until)
    tokens = client.sign_up(username="ada")
    delete(client, tokens)
    assert client.register(username="ada").status_code == 409, "the second time"


def test_with_0_days_anybody_takes_it_at_once(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(released_name_days=0)
    delete(client, client.sign_up(username="ada"))
    assert count(sql, "released_names") == 0
    assert client.register(username="ada").status_code == 201


@pytest.mark.both_databases
def test_one_account_keeps_few_names_from_others_and_can_always_be_deleted(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up(username="name0")
    for number in range(1, 11):
        assert patch(client, tokens, username=f"name{number}").status_code == 200
    refused = patch(client, tokens, username="name11")
    assert (refused.status_code, refused.json()["code"]) == (409, "released_name_limit_reached")
    assert client.me(tokens).json()["username"] == "name10"
    assert patch(client, tokens, username="name3", name="A").status_code == 200, "one of its own"
    delete(client, tokens)
    assert count(sql, "released_names") == 12


def test_another_account_has_an_allowance_of_its_own(client: Client) -> None:
    for email in ("ada@example.org", "eve@example.org"):
        tokens = client.sign_up(email)
        for number in range(6):
            name = f"{email[:3]}{number}"
            assert patch(client, tokens, username=name).status_code == 200


def test_an_address_that_was_copied_in_capitals_is_kept_in_its_normal_form(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    sql("UPDATE users SET email = 'ADA@Example.org'")
    rename(client, tokens)
    assert client.register().json()["code"] == "email_taken"


def test_the_table_holds_no_names(client: Client, sql: Sql) -> None:
    delete(client, client.sign_up(username="ada-the-first"))
    for digest, *others in sql("SELECT * FROM released_names"):
        assert b"ada" not in bytes(digest)
        assert "ada" not in str(others)


@pytest.mark.both_databases
def test_pruning_deletes_those_that_anybody_can_take_and_no_others(
    client: Client, sql: Sql, database_url: str, pass_days: Callable[[float], object]
) -> None:
    delete(client, client.sign_up(username="ada"))
    pass_days(31)
    delete(client, client.sign_up("eve@example.org"))
    database = Database(DatabaseSettings(database_url=database_url))
    pruned = sum(rows.get("released_names", 0) for rows in prune_all(database, Retention(7)))
    database.close()
    assert (pruned, count(sql, "released_names")) == (2, 1)
    assert client.register("eve@example.org").status_code == 409


@pytest.mark.parametrize("value", ["off", False])
def test_where_registration_is_closed_only_commands_create_accounts(
    make_client: MakeClient,
    service_url: str,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
    value: object,
) -> None:
    client = make_client(registration=value)
    refused = client.register()
    assert (refused.status_code, refused.json()["code"]) == (403, "registration_closed")
    assert count(sql, "users") == count(sql, "throttle_counters") == 0
    monkeypatch.setenv("DATABASE_URL", service_url)
    monkeypatch.setenv("COUNTERFOIL_REGISTRATION", "off")
    monkeypatch.chdir(str(tmp_path))
    words = ["create-user", "ada@example.org", "--password-stdin"]
    assert CliRunner().invoke(cli, words, input=f"{PASSWORD}\n").exit_code == 0
    # Neither does it tell whether there is such an account.
    assert client.register().json() == refused.json()
    client.log_in()


def test_the_description_says_that_registration_can_be_closed(client: Client) -> None:
    described = client.http.get("/openapi.json").json()["paths"]["/register"]["post"]
    assert "403" in described["responses"]
    assert "registration_closed" in described["description"]
