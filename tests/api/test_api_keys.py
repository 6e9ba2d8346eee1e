"""API keys over HTTP: made, shown once, used, listed, replaced, ended."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Sql
from tests.support.client import PASSWORD, Client, Tokens
from tests.support.roles import give_role, take_role


def whoami(client: Client, **headers: str) -> int:
    return client.http.get("/users/me", headers=headers).status_code


def keys(client: Client, tokens: Tokens) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.http.get("/api-keys", headers=tokens.headers).json()
    return found


def rotate(client: Client, tokens: Tokens, api_key_id: str, **body: Any) -> Any:
    return client.http.post(f"/api-keys/{api_key_id}/rotate", headers=tokens.headers, json=body)


@pytest.fixture
def moderator(client: Client, sql: Sql) -> Tokens:
    client.register()
    give_role(sql, "moderator")
    return client.log_in()


def test_a_key_opens_what_its_owner_may_see_by_each_of_its_headers(client: Client) -> None:
    key = client.create_api_key(client.sign_up())["key"]

    assert whoami(client, **{"X-API-Key": key}) == 200
    assert whoami(client, **{"Token": key}) == 200
    assert whoami(client, Authorization=f"Bearer {key}") == 200
    assert whoami(client, Authorization=key) == 401
    assert client.http.get(f"/users/me?api_key={key}").status_code == 401


def test_the_header_names_are_a_setting(make_client: Callable[..., Client]) -> None:
    client = make_client(api_key_headers="X-Robot")
    key = client.create_api_key(client.sign_up())["key"]

    assert whoami(client, **{"X-Robot": key}) == 200
    assert whoami(client, **{"X-API-Key": key}) == 401


def test_the_key_is_shown_once_and_only_its_end_is_kept(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    created = client.create_api_key(tokens)
    key = created.pop("key")

    assert keys(client, tokens) == [created]
    assert created["hint"] == key[-4:]
    stored = sql("SELECT name, hint, scopes, key_digest FROM api_keys")
    audited = sql("SELECT event, actor, subject, detail FROM audit_events")
    assert key.removeprefix("cfk_")[:20] not in f"{stored}{audited}"


def test_a_key_says_when_it_was_last_used(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    created = client.create_api_key(tokens)
    assert created["last_used_at"] is None
    sql("UPDATE api_keys SET last_used_at = created_at")
    assert keys(client, tokens)[0]["last_used_at"] == created["created_at"]


def test_a_key_ends_as_asked_for_or_as_the_settings_say(
    make_client: Callable[..., Client], sql: Sql
) -> None:
    client = make_client(api_key_seconds=7 * 86_400)
    tokens = client.sign_up()
    client.create_api_key(tokens, name="asked", expires_in_days=2)
    client.create_api_key(tokens, name="endless", expires_in_days=None)
    client.create_api_key(tokens, name="default")

    days = "julianday(expires_at) - julianday(created_at)"
    if "postgresql" in str(sql("SELECT * FROM api_keys")[0].__class__) or _is_postgresql(sql):
        days = "extract(epoch FROM expires_at - created_at) / 86400"
    found = dict(sql(f"SELECT name, {days} FROM api_keys"))
    assert found["endless"] is None
    assert (round(found["asked"]), round(found["default"])) == (2, 7)
