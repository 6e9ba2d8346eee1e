"""What integrators do with an API key: ask what it may do, rotate it, stay within its limit."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.support.administrator import Sql, give_role
from tests.support.client import Client, Tokens
from tests.support.mailbox import Mailbox
from tests.support.waiting import flush_deferred_writes, until

pytestmark = pytest.mark.one_database

MakeClient = Callable[..., Client]


@pytest.fixture
def owner(client: Client, sql: Sql) -> Tokens:
    client.register()
    give_role(sql, "moderator")
    return client.log_in()


def current(client: Client, key: str) -> Any:
    return client.http.get("/api-keys/current", headers={"X-API-Key": key})


def rotate(client: Client, key: str, **body: Any) -> Any:
    return client.http.post("/api-keys/current/rotate", headers={"X-API-Key": key}, json=body)


def test_a_key_sees_its_own_scopes_and_end(client: Client, owner: Tokens) -> None:
    made = client.create_api_key(owner, scopes=["moderate", "rotate"], requests_per_minute=7)
    assert made["requests_per_minute"] == 7
    seen = current(client, made["key"]).json()
    same = ("id", "name", "hint", "scopes", "expires_at", "requests_per_minute")
    assert {name: seen[name] for name in same} == {name: made[name] for name in same}
    assert seen["scopes"] == ["moderate", "rotate"]
    assert (seen["usable_scopes"], seen["user_id"]) == (["moderate"], 1)
    assert "key" not in seen


def test_only_a_key_asks_for_the_current_key(client: Client, owner: Tokens) -> None:
    for method, path in (("GET", ""), ("POST", "/rotate")):
        answer = client.http.request(method, f"/api-keys/current{path}", headers=owner.headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "api_key_required")
        assert client.http.request(method, f"/api-keys/current{path}").status_code == 401


def test_a_key_with_the_scope_rotates_itself_and_its_successor_can_too(
    client: Client, owner: Tokens, sql: Sql
) -> None:
    made = client.create_api_key(owner, scopes=["moderate", "rotate"], requests_per_minute=100)
    first = made["key"]
    answer = rotate(client, first, overlap_seconds=0)
    assert answer.status_code == 201
    second = answer.json()
    assert second["scopes"] == ["moderate", "rotate"]
    assert second["requests_per_minute"] == 100
    assert current(client, first).status_code == 401
    assert rotate(client, second["key"]).status_code == 201
    assert rotate(client, second["key"]).json()["code"] == "api_key_replaced"
    rotations = "SELECT detail FROM audit_events WHERE event = 'api_key.rotated' ORDER BY id"
    ((detail,), _) = sql(rotations)
    detail = json.loads(detail) if isinstance(detail, str) else detail
    assert (detail["by_key"], detail["replaces"]) == (True, made["id"])


def test_a_key_without_the_scope_does_not_rotate_itself(client: Client, owner: Tokens) -> None:
    key = client.create_api_key(owner, scopes=["moderate"])["key"]
    answer = rotate(client, key)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert 'scope="rotate"' in answer.headers["WWW-Authenticate"]
    # All scopes of the creator do not include it.
    assert rotate(client, client.create_api_key(owner)["key"]).status_code == 403


def test_the_scope_gives_nothing_else(client: Client, owner: Tokens) -> None:
    key = client.create_api_key(owner, scopes=["rotate"])["key"]
    verified = client.http.get("/verify", headers={"X-API-Key": key})
    assert verified.headers["X-Auth-Scopes"] == ""
    assert client.http.get("/verify?scope=rotate", headers={"X-API-Key": key}).status_code == 403
    assert client.http.get("/api-keys", headers={"X-API-Key": key}).status_code == 403


@pytest.mark.both_databases
def test_of_eight_rotations_at_once_one_succeeds(client: Client, owner: Tokens) -> None:
    key = client.create_api_key(owner, scopes=["rotate"])["key"]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: rotate(client, key).status_code, range(8)))
    assert sorted(found) == [201, *[409] * 7]


@pytest.mark.both_databases
def test_uses_are_counted_by_day_and_told_to_the_key_and_its_owner(
    client: Client, owner: Tokens, sql: Sql
) -> None:
    made = client.create_api_key(owner)
    for _ in range(3):
        assert client.me(made["key"]).status_code == 200
    flush_deferred_writes(client)
    client.me(made["key"])
    flush_deferred_writes(client)
    (today,) = current(client, made["key"]).json()["uses"]
    assert today["uses"] == 4
    assert abs(date.fromisoformat(today["day"]) - datetime.now(UTC).date()) <= timedelta(days=1)
    path = f"/api-keys/{made['id']}/uses"
    flush_deferred_writes(client)
    assert client.http.get(path, headers=owner.headers).json()[0]["uses"] == 5
    other = client.sign_up("grace@example.org")
    assert client.http.get(path, headers=other.headers).status_code == 404


@pytest.mark.both_databases
def test_a_key_past_its_limit_waits_and_others_do_not(client: Client, owner: Tokens) -> None:
    limited = client.create_api_key(owner, requests_per_minute=3)["key"]
    free = client.create_api_key(owner)["key"]
    # The limit is known moments after the first use.
    until(lambda: client.me(limited).status_code == 429, seconds=60)
    for answer in (client.me(limited), client.http.get("/verify", headers={"Token": limited})):
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert {client.me(free).status_code for _ in range(5)} == {200}
    assert client.me(owner).status_code == 200


@pytest.mark.parametrize("limit", [0, -1, 2**31, 1.5, "7", True])
def test_a_limit_is_a_positive_number(client: Client, owner: Tokens, limit: object) -> None:
    body = {"name": "A key", "requests_per_minute": limit}
    answer = client.http.post("/api-keys", headers=owner.headers, json=body)
    assert answer.status_code == 422


@pytest.mark.both_databases
def test_old_counts_are_pruned(client: Client, owner: Tokens, sql: Sql) -> None:
    made = client.create_api_key(owner)
    client.me(made["key"])
    flush_deferred_writes(client)
    for days in (91, 89):
        day = (datetime.now(UTC).date() - timedelta(days=days)).isoformat()
        sql(f"INSERT INTO api_key_uses SELECT api_key_id, '{day}', 5 FROM api_key_uses LIMIT 1")
    client.http.app.state.service.pruning_worker.run_round()  # type: ignore[attr-defined]
    found = current(client, made["key"]).json()["uses"]
    assert [one["uses"] for one in found] == [1, 5]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_401_says_which_headers_are_understood(make_client: MakeClient) -> None:
    client = make_client(api_key_headers="X-Robot,X-Machine")
    answer = client.http.get("/users/me", headers={"X-API-Key": "cfk_1"})
    assert answer.status_code == 401
    assert answer.json()["detail"] == (
        "This needs an access token. Send it as `Authorization: Bearer ...`, or an API key as "
        "`X-Robot: ...` or `X-Machine: ...`."
    )


@pytest.mark.both_databases
def test_the_owner_is_told_once_before_a_key_expires(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings, api_key_notice_days=3)
    owner = client.sign_up()
    for name, days in (("soon", 30), ("later", 30), ("short", 2)):
        client.create_api_key(owner, name=name, expires_in_days=days)
    mailbox.take()
    now = datetime.now(UTC)
    made, ends = (f"{now + timedelta(days=days):%Y-%m-%d %H:%M}" for days in (-28, 2))
    times = f"created_at = '{made}:00', expires_at = '{ends}:00'"
    sql(f"UPDATE api_keys SET {times} WHERE name = 'soon'")
    for _ in range(2):
        client.http.app.state.service.pruning_worker.run_round()  # type: ignore[attr-defined]
    (mail,) = mailbox.take()
    assert mail.subject == "An API key of your account at Example is about to expire"
    assert f"The API key soon expires on {ends.split()[0]}." in mail.text
    assert f"The API key soon expires on {ends.split()[0]}." in mail.html
