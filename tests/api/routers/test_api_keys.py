"""API keys over HTTP: made, shown once, used, listed, replaced, ended."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.administrator import Sql, events, give_role, take_role
from tests.support.client import PASSWORD, Client, Tokens


def whoami(client: Client, **headers: str) -> int:
    return client.http.get("/users/me", headers=headers).status_code


def works(client: Client, key: str) -> bool:
    return client.me(key).status_code == 200


def keys(client: Client, tokens: Tokens) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.http.get("/api-keys", headers=tokens.headers).json()
    return found


def make(client: Client, tokens: Tokens | str, **fields: Any) -> Any:
    headers = {"X-API-Key": tokens} if isinstance(tokens, str) else tokens.headers
    return client.http.post("/api-keys", headers=headers, json={"name": "A key", **fields})


def rotate(client: Client, tokens: Tokens, key: dict[str, Any], **body: Any) -> Any:
    path = f"/api-keys/{key['id']}/rotate"
    return client.http.post(path, headers=tokens.headers, json=body)


def life(key: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])


@pytest.fixture
def moderator(client: Client, sql: Sql) -> Tokens:
    client.register()
    give_role(sql, "moderator")
    return client.log_in()


@pytest.mark.one_database
def test_a_key_is_taken_from_each_of_its_headers_and_from_nowhere_else(client: Client) -> None:
    key = client.create_api_key(client.sign_up())["key"]

    assert whoami(client, **{"X-API-Key": key}) == 200
    assert whoami(client, Token=key) == 200
    assert whoami(client, Authorization=f"Bearer {key}") == 200
    assert whoami(client, Authorization=key) == 401
    assert client.http.get("/users/me", params={"api_key": key}).status_code == 401


@pytest.mark.one_database
def test_the_header_names_are_a_setting(make_client: Callable[..., Client]) -> None:
    client = make_client(api_key_headers="X-Robot")
    key = client.create_api_key(client.sign_up())["key"]

    assert whoami(client, **{"X-Robot": key}) == 200
    assert whoami(client, **{"X-API-Key": key}) == 401


def test_a_key_is_shown_once_and_only_its_end_is_kept(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    created = client.create_api_key(tokens, name="Nightly report")
    key = created.pop("key")

    assert keys(client, tokens) == [created]
    assert created["name"] == "Nightly report"
    assert created["hint"] == key[-4:]
    kept = f"{sql('SELECT * FROM api_keys')}{sql('SELECT * FROM audit_events')}"
    assert created["id"] in kept
    assert key[4:20] not in kept


def test_the_list_says_when_a_key_was_last_used(
    make_client: Callable[..., Client], make_app: Callable[..., Any]
) -> None:
    app = make_app(last_used_seconds=1)
    client = make_client(app)
    tokens = client.sign_up()
    key = client.create_api_key(tokens)
    assert key["last_used_at"] is None

    assert works(client, key["key"])

    # A second life of the service: what waited to be written was written when the first one ended.
    client.http.__exit__()
    client.http.__enter__()
    assert keys(client, tokens)[0]["last_used_at"] is not None


def test_a_key_lives_as_long_as_asked_for_or_as_the_settings_say(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(api_key_seconds=7 * 86_400, max_api_key_days=0)
    tokens = client.sign_up()

    assert life(client.create_api_key(tokens)) == timedelta(days=7)
    assert life(client.create_api_key(tokens, expires_in_days=2)) == timedelta(days=2)
    assert client.create_api_key(tokens, expires_in_days=None)["expires_at"] is None


def test_no_new_key_lives_longer_than_the_settings_allow(
    make_client: Callable[..., Client], sql: Sql
) -> None:
    client = make_client(api_key_seconds=None, max_api_key_days=30)
    tokens = client.sign_up()
    for days in (31, 3650, None):
        body = {"name": "Too long", "expires_in_days": days}
        refused = client.http.post("/api-keys", headers=tokens.headers, json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "expires_in_days"
    assert sql("SELECT count(*) FROM api_keys") == [(0,)]
    assert life(client.create_api_key(tokens)) == timedelta(days=30)
    assert life(client.create_api_key(tokens, expires_in_days=30)) == timedelta(days=30)


def test_a_key_from_before_the_limit_keeps_its_life_and_its_successor_has_the_limit(
    make_client: Callable[..., Client],
) -> None:
    before = make_client(max_api_key_days=0)
    tokens = before.sign_up()
    old = before.create_api_key(tokens, expires_in_days=None)
    after = make_client(max_api_key_days=30)

    assert after.me(old["key"]).status_code == 200
    assert keys(after, tokens)[0]["expires_at"] is None
    assert life(rotate(after, tokens, old).json()) == timedelta(days=30)


def test_by_default_a_key_lives_for_a_year_at_most(client: Client) -> None:
    tokens = client.sign_up()
    assert life(client.create_api_key(tokens, expires_in_days=365)) == timedelta(days=365)
    body = {"name": "Too long", "expires_in_days": 366}
    assert client.http.post("/api-keys", headers=tokens.headers, json=body).status_code == 422


def test_an_expired_key_is_refused_and_no_longer_listed(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]

    sql("UPDATE api_keys SET expires_at = created_at")

    refused = client.me(key)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert keys(client, tokens) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE api_keys SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = 1",
        "DELETE FROM api_keys WHERE user_id = 1",
        "UPDATE users SET is_active = false WHERE id = 1",
        "DELETE FROM users WHERE id = 1",
    ],
)
def test_a_key_revoked_by_sql_is_refused_by_the_next_request(
    client: Client, sql: Sql, statement: str
) -> None:
    key = client.create_api_key(client.sign_up())["key"]
    assert works(client, key)

    sql(statement)

    assert not works(client, key)


# SQLite has no sha256().
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_key_that_was_found_is_revoked_by_sql_alone(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    found, other = (client.create_api_key(tokens)["key"] for _ in range(2))

    sql(f"UPDATE api_keys SET revoked_at = now() WHERE key_digest = sha256('{found}')")

    assert not works(client, found)
    assert works(client, other)


def test_a_revoked_key_is_refused_by_the_next_request(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    gone, kept = client.create_api_key(tokens), client.create_api_key(tokens)
    path = f"/api-keys/{gone['id']}"

    assert client.http.delete(path, headers=tokens.headers).status_code == 204

    assert not works(client, gone["key"])
    assert works(client, kept["key"])
    assert client.http.delete(path, headers=tokens.headers).status_code == 404
    assert events(sql)[-3:] == ["api_key.created", "api_key.created", "api_key.revoked"]


def test_nobody_else_can_see_revoke_or_rotate_a_key(client: Client) -> None:
    key = client.create_api_key(client.sign_up())
    stranger = client.sign_up("eve@example.org")

    answer = client.http.delete(f"/api-keys/{key['id']}", headers=stranger.headers)

    assert answer.status_code == 404
    assert rotate(client, stranger, key).status_code == 404
    assert keys(client, stranger) == []
    assert works(client, key["key"])


def test_a_key_without_scopes_named_gets_those_its_owner_has_and_never_account(
    client: Client, moderator: Tokens
) -> None:
    assert client.create_api_key(moderator)["scopes"] == ["moderate"]
    assert client.create_api_key(moderator, scopes=[])["scopes"] == []


@pytest.mark.one_database
@pytest.mark.parametrize("scopes", [["account"], ["moderate", "account"], ["admin"], ["unknown"]])
def test_a_scope_that_cannot_be_given_is_refused(
    client: Client, moderator: Tokens, scopes: list[str]
) -> None:
    refused = make(client, moderator, scopes=scopes)

    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_scope")
    assert keys(client, moderator) == []


def test_a_narrowed_token_gives_no_more_than_it_has(client: Client, moderator: Tokens) -> None:
    wide = client.create_api_key(moderator, scopes=["moderate"])
    narrowed = client.log_in(scope="account")

    assert client.create_api_key(narrowed)["scopes"] == []
    assert make(client, narrowed, scopes=["moderate"]).json()["code"] == "invalid_scope"
    # Nor does it get hold of what an older key of the same user may do.
    refused = rotate(client, narrowed, wide)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    assert works(client, wide["key"])


def test_a_key_does_not_gain_by_a_promotion(client: Client, sql: Sql) -> None:
    key = client.create_api_key(client.sign_up())["key"]
    give_role(sql, "admin")

    answer = client.http.post("/introspect", headers={"X-API-Key": key}, data={"token": key})

    assert answer.json()["error"] == "insufficient_scope"


def test_a_key_can_do_no_more_than_its_owner_may_now(client: Client, sql: Sql) -> None:
    client.register()
    give_role(sql, "admin")
    key = client.create_api_key(client.log_in(), scopes=["introspect"])["key"]

    def ask() -> int:
        form = {"token": key}
        return client.http.post("/introspect", headers={"X-API-Key": key}, data=form).status_code

    assert ask() == 200
    take_role(sql, "admin")
    assert ask() == 403
    give_role(sql, "admin")
    assert ask() == 200


@pytest.mark.parametrize("stored", ["NULL", "'account'", "'account moderate'"])
def test_a_key_never_has_the_scope_account_whatever_is_stored_of_it(
    client: Client, moderator: Tokens, sql: Sql, stored: str
) -> None:
    key = client.create_api_key(moderator)["key"]
    sql(f"UPDATE api_keys SET scopes = {stored}")

    def verify(scope: str) -> int:
        query, headers = {"scope": scope} if scope else {}, {"X-API-Key": key}
        return client.http.get("/verify", params=query, headers=headers).status_code

    assert (verify(""), verify("account")) == (200, 403)


@pytest.mark.one_database
def test_keys_are_managed_with_a_session_alone(client: Client, moderator: Tokens) -> None:
    key = client.create_api_key(moderator)["key"]
    narrowed = client.log_in(scope="moderate")

    assert make(client, key).json()["code"] == "session_required"
    assert make(client, narrowed).json()["code"] == "insufficient_scope"
    assert client.http.get("/api-keys").status_code == 401


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x00b"),
        ("name", "a\nb"),
        ("expires_in_days", 0),
        ("expires_in_days", 3651),
        ("scopes", ["two words"]),
        ("scopes", "moderate"),
        ("scope", "moderate"),
    ],
)
def test_a_body_that_is_wrong_is_refused_by_field(client: Client, field: str, value: Any) -> None:
    refused = make(client, client.sign_up(), **{field: value})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith(field)


def test_old_and_new_key_work_side_by_side_until_the_overlap_is_over(
    make_client: Callable[..., Client], sql: Sql
) -> None:
    client = make_client(api_key_overlap_seconds=3600)
    tokens = client.sign_up()
    old = client.create_api_key(tokens, name="Robot", expires_in_days=90)

    new = rotate(client, tokens, old).json()

    assert works(client, old["key"])
    assert works(client, new["key"])
    assert (new["name"], new["scopes"], life(new)) == ("Robot", old["scopes"], timedelta(days=90))
    retired = keys(client, tokens)[1]
    end = datetime.fromisoformat(retired["expires_at"])
    assert end - datetime.fromisoformat(retired["replaced_at"]) == timedelta(hours=1)
    sql(f"UPDATE api_keys SET expires_at = created_at WHERE id = '{old['id']}'")
    assert not works(client, old["key"])
    assert works(client, new["key"])


def test_a_user_has_so_many_keys_and_no_more(make_client: Callable[..., Client]) -> None:
    client = make_client(max_api_keys_per_user=2)
    tokens, other = client.sign_up(), client.sign_up("bob@example.org")
    first = client.create_api_key(tokens)
    client.create_api_key(tokens)
    refused = make(client, tokens)
    assert (refused.status_code, refused.json()["code"]) == (409, "api_key_limit_reached")
    assert make(client, other).status_code == 201

    path = f"/api-keys/{first['id']}"
    assert client.http.delete(path, headers=tokens.headers).status_code == 204
    assert make(client, tokens).status_code == 201


def test_a_key_can_be_replaced_at_the_limit_but_not_over_and_over(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(max_api_keys_per_user=1)
    tokens = client.sign_up()
    first = client.create_api_key(tokens)
    second = rotate(client, tokens, first)
    assert second.status_code == 201
    assert make(client, tokens).json()["code"] == "api_key_limit_reached"
    assert rotate(client, tokens, second.json()).json()["code"] == "api_key_limit_reached"


def test_keys_made_at_once_do_not_slip_past_the_limit(make_client: Callable[..., Client]) -> None:
    client = make_client(max_api_keys_per_user=3)
    tokens = client.sign_up()
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: make(client, tokens).status_code, range(8)))
    assert sorted(made) == [201] * 3 + [409] * 5


def test_an_overlap_of_nothing_ends_the_old_key_at_once(client: Client) -> None:
    tokens = client.sign_up()
    old = client.create_api_key(tokens)

    new = rotate(client, tokens, old, overlap_seconds=0).json()

    assert not works(client, old["key"])
    assert works(client, new["key"])
    assert [key["id"] for key in keys(client, tokens)] == [new["id"]]


def test_an_overlap_may_be_shorter_than_the_settings_say_but_not_longer(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(api_key_overlap_seconds=60)
    tokens = client.sign_up()
    old = client.create_api_key(tokens)

    assert rotate(client, tokens, old, overlap_seconds=61).status_code == 422
    assert rotate(client, tokens, old, overlap_seconds=-1).status_code == 422
    assert rotate(client, tokens, old, overlap_seconds=10**30).status_code == 422
    assert rotate(client, tokens, old, overlap_seconds=30).status_code == 201
    retired = keys(client, tokens)[1]
    assert life({**retired, "created_at": retired["replaced_at"]}) == timedelta(seconds=30)


def test_a_key_near_its_end_does_not_outlive_it_by_a_rotation(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    old = client.create_api_key(tokens, expires_in_days=1)

    rotate(client, tokens, old)

    assert keys(client, tokens)[1]["expires_at"] <= old["expires_at"]


def test_the_successor_of_an_endless_key_is_endless(make_client: Callable[..., Client]) -> None:
    client = make_client(max_api_key_days=0)
    tokens = client.sign_up()
    old = client.create_api_key(tokens, expires_in_days=None)
    assert rotate(client, tokens, old).json()["expires_at"] is None


def test_a_key_has_one_successor_however_often_it_is_rotated(client: Client) -> None:
    tokens = client.sign_up()
    old = client.create_api_key(tokens)
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(rotate(client, tokens, old)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len(keys(client, tokens)) == 2


@pytest.mark.one_database
def test_a_rotation_needs_no_body(client: Client) -> None:
    tokens = client.sign_up()
    old = client.create_api_key(tokens)
    path = f"/api-keys/{old['id']}/rotate"
    assert client.http.post(path, headers=tokens.headers).status_code == 201


def test_a_key_stops_while_its_user_is_disabled(client: Client, sql: Sql) -> None:
    key = client.create_api_key(client.sign_up())["key"]
    sql("UPDATE users SET is_active = false")
    assert not works(client, key)
    sql("UPDATE users SET is_active = true")
    assert works(client, key)


def test_a_key_outlives_the_sessions_of_its_owner(client: Client) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]

    client.http.delete("/sessions", headers=tokens.headers)

    assert client.me(tokens).status_code == 401
    assert works(client, key)


@pytest.mark.parametrize(
    ("asked", "ends"),
    [({}, True), ({"end_api_keys": True}, True), ({"end_api_keys": False}, False)],
)
def test_a_change_of_the_password_ends_keys_unless_they_are_to_be_kept(
    client: Client, asked: dict[str, bool], ends: bool
) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]
    body = {"current_password": PASSWORD, "new_password": "a wholly different one"}

    answer = client.http.put("/users/me/password", headers=tokens.headers, json={**body, **asked})

    assert answer.status_code == 200
    assert works(client, key) is not ends
