"""A new password ends whatever somebody else may have obtained by the old one."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from api.commands.cli import cli
from tests.support.administrator import Sql, count, give_role, user_id
from tests.support.client import PASSWORD, Client, Tokens, read_tokens

NEW = "another correct horse"
HOME, AWAY, THIEF = "203.0.113.9", "198.51.100.7", "192.0.2.66"

SetPassword = Callable[..., Any]


@pytest.fixture
def world(make_client: Callable[..., Client]) -> Client:
    """A service behind a proxy, with a grace in which a used refresh token is still accepted."""
    return make_client(trusted_proxies="0.0.0.0/0", refresh_grace_seconds=60)


@pytest.fixture
def set_password(
    service_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> SetPassword:
    """The command, run by the role that serves."""
    monkeypatch.setenv("DATABASE_URL", service_url)
    monkeypatch.setenv("COUNTERFOIL_BCRYPT_ROUNDS", "4")
    monkeypatch.chdir(str(tmp_path))

    def run(*options: str) -> None:
        words = ["set-password", "ada@example.org", "--password-stdin", *options]
        result = CliRunner().invoke(cli, words, input=f"{NEW}\n")
        assert result.exit_code == 0, result.stderr

    return run


def log_in(world: Client, ip: str, **fields: Any) -> Tokens:
    body = {"email": "ada@example.org", "password": PASSWORD, **fields}
    return read_tokens(world.http.post("/login", json=body, headers={"X-Forwarded-For": ip}))


def change(world: Client, tokens: Tokens, ip: str = HOME, **fields: Any) -> Tokens:
    body = {"current_password": PASSWORD, "new_password": NEW, **fields}
    headers = {**tokens.headers, "X-Forwarded-For": ip}
    return read_tokens(world.http.put("/users/me/password", json=body, headers=headers))


def test_the_tokens_of_the_current_session_are_replaced(world: Client) -> None:
    world.register()
    first = log_in(world, HOME)
    tokens = read_tokens(world.refresh(first.refresh_token))
    renewed = change(world, tokens)
    for old in (first, tokens):
        assert world.me(old).status_code == 401
        # The first one was used within the grace, the second one never.
        assert world.refresh(old.refresh_token).json()["error"] == "invalid_grant"
    assert world.me(renewed).status_code == 200
    assert world.refresh(renewed.refresh_token).status_code == 200


def test_the_session_remains_the_same(world: Client) -> None:
    world.register()
    tokens = log_in(world, HOME, client_id="phone")
    (before,) = world.sessions(tokens)
    (after,) = world.sessions(change(world, tokens))
    assert (after["id"], after["client_id"], after["expires_at"]) == (
        *(before["id"], "phone", before["expires_at"]),
    )


def test_new_tokens_have_no_more_scopes_than_those_that_they_replace(
    world: Client, sql: Sql
) -> None:
    world.register()
    give_role(sql, "moderator")
    for asked, later in ((None, "account moderate"), ("account", "account")):
        narrowed = log_in(world, HOME, scope=asked)
        assert change(world, narrowed, new_password=PASSWORD + "!").scope == later
        renewed = log_in(world, HOME, password=PASSWORD + "!", scope=asked)
        back = change(world, renewed, current_password=PASSWORD + "!", new_password=PASSWORD)
        assert back.scope == later
        again = world.refresh(back.refresh_token).json()
        assert again["scope"] == later


def test_a_token_that_a_refresh_has_narrowed_stays_so_and_its_session_does_not(
    world: Client, sql: Sql
) -> None:
    world.register()
    give_role(sql, "moderator")
    narrowed = read_tokens(world.refresh(log_in(world, HOME).refresh_token, scope="account"))
    renewed = change(world, narrowed)
    assert renewed.scope == "account"
    assert world.refresh(renewed.refresh_token).json()["scope"] == "account moderate"


def test_a_change_made_by_one_user_leaves_what_others_have(world: Client, sql: Sql) -> None:
    world.register()
    world.register("other@example.org")
    other = log_in(world, HOME, email="other@example.org")
    key = world.create_api_key(other)["key"]
    number = user_id(sql, "other@example.org")
    theirs = f"SELECT count(*) FROM known_addresses WHERE user_id = {number}"
    before = sql(theirs)
    assert before == [(1,)]
    change(world, log_in(world, HOME))
    assert world.me(other).status_code == world.me(key).status_code == 200
    assert sql(theirs) == before


def test_only_the_network_of_the_change_stays_known(world: Client, sql: Sql) -> None:
    world.http.post(
        "/register",
        json={"email": "ada@example.org", "password": PASSWORD, "name": "Ada"},
        headers={"X-Forwarded-For": THIEF},
    )
    for ip in (AWAY, HOME):
        log_in(world, ip)
    kept = sql("SELECT address_digest FROM known_addresses ORDER BY id")[-1:]
    assert count(sql, "known_addresses") == 3
    change(world, log_in(world, HOME), ip=HOME)
    assert sql("SELECT address_digest FROM known_addresses") == kept


def test_a_change_from_a_network_that_is_not_known_leaves_none(world: Client, sql: Sql) -> None:
    world.register()
    change(world, log_in(world, HOME), ip=THIEF)
    assert count(sql, "known_addresses") == 0


def test_the_command_ends_sessions_keys_and_known_networks(
    world: Client, sql: Sql, set_password: SetPassword
) -> None:
    world.register()
    tokens = log_in(world, HOME)
    key = world.create_api_key(tokens)
    rotated = world.http.post(f"/api-keys/{key['id']}/rotate", headers=tokens.headers).json()
    set_password()
    for credential in (tokens.access_token, key["key"], rotated["key"]):
        assert world.me(credential).status_code == 401
    assert count(sql, "known_addresses") == count(sql, "throttle_counters WHERE user_id > 0") == 0
    log_in(world, HOME, password=NEW)


def test_the_command_keeps_the_keys_if_that_is_asked_for(
    world: Client, set_password: SetPassword
) -> None:
    tokens = world.sign_up()
    key = world.create_api_key(tokens)["key"]
    set_password("--keep-api-keys")
    assert world.me(tokens).status_code == 401
    assert world.me(key).status_code == 200


def test_keys_of_a_disabled_user_do_not_outlive_a_new_password(
    world: Client, sql: Sql, set_password: SetPassword
) -> None:
    tokens = world.sign_up()
    key = world.create_api_key(tokens)["key"]
    sql("UPDATE users SET is_active = false")
    set_password()
    sql("UPDATE users SET is_active = true")
    assert world.me(key).status_code == world.me(tokens).status_code == 401
    assert world.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"


def test_tokens_that_were_deleted_meanwhile_are_not_made_anew(world: Client, sql: Sql) -> None:
    tokens = world.sign_up()
    hasher = world.http.app.state.service.hasher  # type: ignore[attr-defined]
    hash_password = hasher.hash

    def delete_tokens(password: str) -> str:
        sql("DELETE FROM access_tokens")
        return str(hash_password(password))

    hasher.hash = delete_tokens
    body = {"current_password": PASSWORD, "new_password": NEW}
    answer = world.http.put("/users/me/password", json=body, headers=tokens.headers)
    assert answer.status_code == 401
    assert count(sql, "access_tokens") == 0
