"""Administration over HTTP: who may, what they see, and that what they do holds at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Response

from authentication.administration import operations
from database import queries
from tests.support.administrator import Sql
from tests.support.client import PASSWORD, Client, Tokens

ENDPOINTS = [
    ("GET", "/admin/users"),
    ("GET", "/admin/users/1"),
    ("PATCH", "/admin/users/1"),
    ("DELETE", "/admin/users/1/sessions"),
    ("GET", "/admin/sessions"),
    ("DELETE", f"/admin/sessions/{uuid4()}"),
    ("POST", "/admin/sessions/revoke"),
    ("GET", "/admin/audit-events"),
    ("POST", "/admin/users"),
    ("DELETE", "/admin/users/1"),
    ("POST", "/admin/users/1/reset"),
    ("POST", "/admin/users/1/api-keys"),
    ("GET", "/admin/users.csv"),
    ("GET", "/admin/sessions.csv"),
    ("GET", "/admin/audit-events.csv"),
    ("GET", "/admin/roles"),
    ("POST", "/admin/roles"),
    ("PATCH", "/admin/roles/user"),
    ("DELETE", "/admin/roles/moderator"),
    ("GET", "/admin/users/1/api-keys"),
    ("DELETE", f"/admin/api-keys/{uuid4()}"),
]
MAKE_ADMIN = "INSERT INTO user_roles SELECT id, 3 FROM users WHERE email = '{}'"


@pytest.fixture
def admin(client: Client, sql: Sql) -> Tokens:
    """An administrator, user 1."""
    client.register("root@example.org", name="Root")
    sql(MAKE_ADMIN.format("root@example.org"))
    return client.log_in("root@example.org")


def call(
    caller: Client, method: str, path: str, tokens: Tokens, body: Any = None, **parameters: Any
) -> Response:
    return caller.http.request(
        method, path, headers=tokens.headers, json=body, params=parameters or None
    )


def collect(caller: Client, path: str, tokens: Tokens, **parameters: Any) -> list[Any]:
    """The items of all pages."""
    items: list[Any] = []
    cursors: list[str] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = call(caller, "GET", path, tokens, **parameters, **more)
        assert page.status_code == 200, page.text
        items += page.json()["items"]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            return items
        # Pages that repeat themselves have no end.
        assert cursor not in cursors, cursor
        cursors.append(cursor)


@pytest.mark.one_database
def test_only_the_scope_admin_opens_the_door(client: Client, admin: Tokens) -> None:
    user = client.sign_up("user@example.org")
    narrowed = client.log_in("root@example.org", scope="account introspect")

    for method, path in ENDPOINTS:
        assert client.http.request(method, path).status_code == 401, path
        for tokens in (user, narrowed):
            refused = call(client, method, path, tokens)
            assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
            assert 'scope="admin"' in refused.headers["www-authenticate"]


def test_an_api_key_with_the_scope_administers_too(client: Client, admin: Tokens) -> None:
    def read(*scopes: str) -> int:
        key = client.create_api_key(admin, scopes=scopes)["key"]
        return client.http.get("/admin/users", headers={"X-API-Key": key}).status_code

    assert (read("admin"), read("introspect")) == (200, 403)


def test_an_api_key_of_anyone_is_listed_and_ends_at_once(client: Client, admin: Tokens) -> None:
    user = client.sign_up("user@example.org")
    made = client.create_api_key(user, name="Nightly report", scopes=[])

    listed = call(client, "GET", "/admin/users/2/api-keys", admin)
    assert [key["id"] for key in listed.json()] == [made["id"]]
    assert made["key"] not in listed.text

    path = f"/admin/api-keys/{made['id']}"
    assert call(client, "DELETE", path, admin).status_code == 204
    assert client.me(made["key"]).status_code == 401
    assert call(client, "DELETE", path, admin).status_code == 404
    assert call(client, "GET", "/admin/users/2/api-keys", admin).json() == []


def test_users_are_found_by_the_beginning_of_any_word_of_theirs(
    client: Client, admin: Tokens
) -> None:
    client.register(
        "ada.byron@example.org", name="Ada", surname="King Lovelace", username="countess"
    )
    client.register("grace@navy.example", name="Grace Hopper")
    client.register("o@example.org", name="Conan O'Brien-Äöü", username="b_52.x")

    def found(text: str) -> list[str]:
        page = call(client, "GET", "/admin/users", admin, q=text)
        return [user["email"].partition("@")[0] for user in page.json()["items"]]

    assert found("love") == ["ada.byron"]
    assert found("KING LOVE") == ["ada.byron"]
    assert found("coun") == ["ada.byron"]
    assert found("byron@exam") == ["ada.byron"]
    assert found("hopp gra") == ["grace"]
    assert found("navy") == ["grace"]
    assert found("brien") == found("o'bri") == found("52") == ["o"]
    assert found("Äö") == ["o"]
    assert found("lace") == found("grace lovelace") == []
    assert found("%") == found("_") == found("*") == found("' | !zz:*") == found("\\") == []
    assert found("example") == ["o", "grace", "ada.byron", "root"]


def test_users_are_filtered_by_state_and_role(client: Client, admin: Tokens, sql: Sql) -> None:
    client.register("one@example.org")
    client.register("two@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'two@example.org'")

    def found(**filters: Any) -> list[int]:
        page = call(client, "GET", "/admin/users", admin, **filters).json()
        return [user["id"] for user in page["items"]]

    assert found() == [3, 2, 1]
    assert found(active="true") == [2, 1]
    assert found(active="false") == [3]
    assert found(role="admin") == [1]
    assert found(role="admin", active="false") == found(role="nobody") == []


def test_pages_hold_everyone_once(client: Client, admin: Tokens, sql: Sql) -> None:
    for number in range(7):
        sql(
            "INSERT INTO users (email, name, hashed_password)"
            f" VALUES ('u{number}@example.org', 'U', 'x')"
        )

    for limit in (1, 3, 8, 200):
        ids = [user["id"] for user in collect(client, "/admin/users", admin, limit=limit)]
        assert ids == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("path", ["/admin/users", "/admin/sessions", "/admin/audit-events"])
def test_a_full_last_page_has_no_next_one(client: Client, admin: Tokens, path: str) -> None:
    client.sign_up("user@example.org")
    count = len(collect(client, path, admin, limit=200))
    assert count > 1
    for limit, is_last in ((count - 1, False), (count, True), (count + 1, True)):
        page = call(client, "GET", path, admin, limit=limit).json()
        assert (page["next_cursor"] is None) is is_last


@pytest.mark.one_database
@pytest.mark.parametrize("path", ["/admin/users", "/admin/sessions", "/admin/audit-events"])
def test_what_cannot_be_asked_is_refused_without_an_echo(
    client: Client, admin: Tokens, path: str
) -> None:
    other = call(client, "GET", "/admin/roles", admin)
    assert other.status_code == 200
    hostile: list[dict[str, Any]] = [
        {"limit": 0},
        {"limit": 201},
        {"typo": "secretvalue"},
        {"cursor": "secretvalue"},
        {"cursor": "WyIxIl0x"},
        {"cursor": "bnVsbA"},
        {"cursor": "WzFd"},
        {"cursor": "WyLCsiJd"},
        {"cursor": "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OSJd"},
        {"cursor": "WyJ5ZXN0ZXJkYXkiLCIxIl0"},
        {"cursor": "WyIyMDI0LTAxLTAxXHVkODAwMDA6MDA6MDAiLCIxIl0"},
        {"cursor": "é" * 3},
        {"q": "a\x00b", "event": "a\x00b"},
    ]
    for parameters in hostile:
        refused = call(client, "GET", path, admin, **parameters)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
        assert "secretvalue" not in refused.text


def test_a_disabled_user_is_refused_by_the_next_request(client: Client, admin: Tokens) -> None:
    user = client.sign_up("user@example.org")

    disabled = call(client, "PATCH", "/admin/users/2", admin, {"is_active": False})

    assert (disabled.status_code, disabled.json()["is_active"]) == (200, False)
    assert client.me(user).status_code == 401
    assert client.refresh(user.refresh_token).status_code == 400
    assert client.try_to_log_in("user@example.org").status_code == 401

    enabled = call(client, "PATCH", "/admin/users/2", admin, {"is_active": True})
    assert enabled.json()["is_active"] is True
    assert client.me(user).status_code == 401
    assert client.me(client.log_in("user@example.org")).status_code == 200


def test_roles_hold_from_the_next_request_on(client: Client, admin: Tokens) -> None:
    user = client.sign_up("user@example.org")
    assert call(client, "GET", "/admin/roles", user).status_code == 403

    promoted = call(client, "PATCH", "/admin/users/2", admin, {"roles": ["user", "admin"]})
    assert promoted.json()["roles"] == ["admin", "user"]
    assert call(client, "GET", "/admin/roles", user).status_code == 200

    assert call(client, "PATCH", "/admin/users/2", admin, {"roles": []}).json()["roles"] == []
    assert call(client, "GET", "/admin/roles", user).status_code == 403


@pytest.mark.one_database
def test_an_administrator_can_set_no_password_and_nothing_else(
    client: Client, admin: Tokens, sql: Sql
) -> None:
    client.register("user@example.org")
    before = sql("SELECT * FROM users WHERE id = 2")

    for field in ("password", "hashed_password", "new_password", "email", "session_epoch", "id"):
        refused = call(client, "PATCH", "/admin/users/2", admin, {field: "sup3r secret value"})
        assert refused.status_code == 422
        assert "sup3r" not in refused.text
    unknown = call(
        client, "PATCH", "/admin/users/2", admin, {"is_active": False, "roles": ["king"]}
    )
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "roles")

    assert sql("SELECT * FROM users WHERE id = 2") == before


def test_what_is_not_there_is_not_found(client: Client, admin: Tokens) -> None:
    for method, path, body in (
        ("GET", "/admin/users/99", None),
        ("PATCH", "/admin/users/99", {"is_active": True}),
        ("PATCH", "/admin/users/99", {"roles": []}),
        ("PATCH", "/admin/users/99", {}),
        ("DELETE", "/admin/users/99/sessions", None),
        ("DELETE", f"/admin/sessions/{uuid4()}", None),
        ("DELETE", f"/admin/api-keys/{uuid4()}", None),
        ("GET", "/admin/users/99/api-keys", None),
    ):
        assert call(client, method, path, admin, body).status_code == 404, (method, path)
    assert call(client, "GET", "/admin/users/99999999999", admin).status_code == 422


@pytest.mark.parametrize("change", [{"is_active": False}, {"roles": ["user"]}, {"roles": []}])
def test_the_last_active_administrator_stays(
    client: Client, admin: Tokens, sql: Sql, change: dict[str, Any]
) -> None:
    client.register("second@example.org")
    sql(MAKE_ADMIN.format("second@example.org"))
    sql("UPDATE users SET is_active = false WHERE email = 'second@example.org'")

    refused = call(client, "PATCH", "/admin/users/1", admin, change)

    assert (refused.status_code, refused.json()["code"]) == (409, "last_administrator")
    assert call(client, "GET", "/admin/users/1", admin).json()["roles"] == ["admin", "user"]

    sql("UPDATE users SET is_active = true WHERE email = 'second@example.org'")
    assert call(client, "PATCH", "/admin/users/1", admin, change).status_code == 200
    assert call(client, "GET", "/admin/users/1", admin).status_code in {401, 403}


@pytest.mark.parametrize("change", [{"is_active": False}, {"roles": ["user"]}])
def test_two_administrators_who_remove_each_other_leave_one(
    client: Client, admin: Tokens, sql: Sql, change: dict[str, Any]
) -> None:
    client.register("second@example.org")
    for _ in range(5):
        sql("UPDATE users SET is_active = true")
        sql("DELETE FROM user_roles WHERE role_id = 3")
        sql("INSERT INTO user_roles SELECT id, 3 FROM users")
        both = [client.log_in("root@example.org"), client.log_in("second@example.org")]
        together = Barrier(2)

        def remove(number: int) -> int:
            together.wait()  # noqa: B023
            other = f"/admin/users/{2 - number}"
            return call(client, "PATCH", other, both[number], change).status_code  # noqa: B023

        with ThreadPoolExecutor(2) as threads:
            statuses = sorted(threads.map(remove, range(2)))

        # The later one is told so, or is no administrator any more when they ask.
        assert statuses[0] == 200
        assert statuses[1] in {401, 403, 409}
        left = sql(
            "SELECT id FROM users JOIN user_roles ON user_id = id AND role_id = 3 AND is_active"
        )
        assert len(left) == 1


def test_all_sessions_of_a_user_end_at_once(client: Client, admin: Tokens) -> None:
    phone, laptop = client.sign_up("user@example.org"), client.log_in("user@example.org")

    ended = call(client, "DELETE", "/admin/users/2/sessions", admin)

    assert ended.json() == {"ended": 2}
    assert [client.me(tokens).status_code for tokens in (phone, laptop, admin)] == [401, 401, 200]
    assert client.refresh(phone.refresh_token).status_code == 400


def test_live_sessions_of_everyone_are_listed_newest_first(
    client: Client, admin: Tokens, sql: Sql
) -> None:
    client.sign_up("ada@example.org", username="countess")
    gone = client.log_in("ada@example.org", client_id="gone")
    client.http.post("/logout", headers=gone.headers)
    client.log_in("ada@example.org", client_id="Ada's phone")
    sql("UPDATE sessions SET ip = '192.0.2.7' WHERE client_id = 'Ada''s phone'")

    def found(**filters: Any) -> list[tuple[Any, ...]]:
        items = collect(client, "/admin/sessions", admin, **filters)
        return [(one["email"][:4], one["client_id"], one["current"]) for one in items]

    newest, middle, oldest = (
        ("ada@", "Ada's phone", False),
        ("ada@", None, False),
        ("root", None, True),
    )
    assert found() == found(limit=1) == found(limit=2) == [newest, middle, oldest]
    assert found(q="coun") == found(user_id=2) == found(q="ada exam") == [newest, middle]
    assert found(client="ada's P") == found(ip="192.0.2.") == found(ip="192.0.2.7") == [newest]
    assert found(client="phone") == found(ip="92.0") == found(client="%") == found(ip="_") == []
    assert found(q="root", client="ada") == []

    def total(**filters: Any) -> Any:
        return call(client, "GET", "/admin/sessions", admin, limit=1, **filters).json()["total"]

    assert total() is None
    assert [total(with_total="true", q=text) for text in ("ada", "ROOT", "none")] == [2, 1, 0]
    assert total(with_total="true") == 3
    assert total(with_total="true", user_id=2, ip="192.0.2.") == 1


def test_sessions_that_began_together_are_all_listed(
    client: Client, admin: Tokens, sql: Sql
) -> None:
    for _ in range(4):
        client.log_in("root@example.org")
    # As SQL by hand may leave it: one with fewer digits than we write.
    sql("UPDATE sessions SET created_at = '2026-11-20 12:00:00.500'")
    first = sql("SELECT min(CAST(id AS text)) FROM sessions")[0][0]
    sql(f"UPDATE sessions SET created_at = '2026-11-20 12:00:00.500000' WHERE id = '{first}'")

    for limit in (1, 2, 3):
        items = collect(client, "/admin/sessions", admin, limit=limit)
        assert len(items) == len({one["id"] for one in items}) == 5


def test_one_session_of_anyone_ends_at_once(client: Client, admin: Tokens) -> None:
    user = client.sign_up("user@example.org")
    path = f"/admin/sessions/{client.sessions(user)[0]['id']}"

    assert call(client, "DELETE", path, admin).status_code == 204
    assert client.me(user).status_code == 401
    assert call(client, "DELETE", path, admin).status_code == 404


def test_many_sessions_end_by_their_ids(client: Client, admin: Tokens, sql: Sql) -> None:
    users = [client.sign_up(f"u{number}@example.org") for number in range(3)]
    ids = [client.sessions(tokens)[0]["id"] for tokens in users]

    ended = call(
        client, "POST", "/admin/sessions/revoke", admin, {"ids": [*ids[:2], ids[0], str(uuid4())]}
    )

    assert ended.json() == {"processed": 2, "more": False}
    assert [client.me(tokens).status_code for tokens in users] == [401, 401, 200]
    again = call(client, "POST", "/admin/sessions/revoke", admin, {"ids": ids[:2]})
    assert again.json() == {"processed": 0, "more": False}
    told = sql("SELECT actor, subject FROM audit_events WHERE event = 'session.revoked' ORDER BY 2")
    assert told == [("user:1", "user:2"), ("user:1", "user:3")]


@pytest.mark.one_database
def test_the_asterisk_must_stand_alone(client: Client, admin: Tokens) -> None:
    user = client.sign_up("user@example.org")
    session_id = client.sessions(user)[0]["id"]

    for ids in (
        ["*", session_id],
        [session_id, "*"],
        ["*", "*"],
        [],
        ["**"],
        "*",
        [str(uuid4())] * 501,
    ):
        refused = call(client, "POST", "/admin/sessions/revoke", admin, {"ids": ids})
        assert refused.status_code == 422, ids
    assert client.me(user).status_code == 200


def test_everyone_is_sent_away_in_bounded_steps_but_for_the_one_who_asks(
    client: Client, admin: Tokens, sql: Sql
) -> None:
    user = client.sign_up("user@example.org")
    _add_sessions(sql, 1100)
    steps: list[dict[str, Any]] = []

    while not steps or steps[-1]["more"]:
        steps.append(call(client, "POST", "/admin/sessions/revoke", admin, {"ids": ["*"]}).json())

    assert [step["processed"] for step in steps] == [500, 500, 101]
    assert client.me(user).status_code == 401
    assert client.me(admin).status_code == 200
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(1,)]
    events = sql("SELECT count(*) FROM audit_events WHERE event = 'session.revoked'")
    assert events == [(1101,)]

    last = {"ids": ["*"], "include_current": True}
    ended = call(client, "POST", "/admin/sessions/revoke", admin, last)
    assert ended.json() == {"processed": 1, "more": False}
    assert client.me(admin).status_code == 401


def _add_sessions(sql: Sql, count: int) -> None:
    rows = ", ".join(
        f"('{uuid4()}', 2, 0, '2026-11-20 12:00:00', '2999-01-01 00:00:00')" for _ in range(count)
    )
    sql(f"INSERT INTO sessions (id, user_id, epoch, created_at, expires_at) VALUES {rows}")


def test_the_audit_log_is_read_by_what_happened_to_whom_and_when(
    client: Client, admin: Tokens, sql: Sql
) -> None:
    client.sign_up("user@example.org")
    client.try_to_log_in("user@example.org", "wrong password")
    call(client, "PATCH", "/admin/users/2", admin, {"roles": ["moderator"]})
    sql("UPDATE audit_events SET ip = '192.0.2.7' WHERE event = 'login.failed'")

    def found(**filters: Any) -> list[str]:
        events = collect(client, "/admin/audit-events", admin, **filters)
        return [event["event"] for event in events]

    everything = [
        "user.roles_changed",
        "login.failed",
        "login.succeeded",
        "user.created",
        "login.succeeded",
        "user.created",
    ]
    assert found() == found(limit=1) == found(limit=4) == everything
    assert found(event="user.created") == ["user.created"] * 2
    assert found(subject="user:2") == everything[:4]
    assert found(actor="user:1", subject="user:2") == ["user.roles_changed"]
    assert found(actor="anonymous") == found(ip="192.0.2.7") == ["login.failed"]
    assert found(since="2000-01-01T00:00:00Z") == everything
    assert found(until="2000-01-01T00:00:00+01:00") == found(since="2999-01-01T00:00:00Z") == []

    event = call(client, "GET", "/admin/audit-events", admin, limit=1).json()["items"][0]
    assert event["detail"] == {"added": ["moderator"], "removed": ["user"]}
    for moment in ("2000-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "yesterday"):
        assert call(client, "GET", "/admin/audit-events", admin, since=moment).status_code == 422


def test_events_of_one_moment_are_all_listed(client: Client, admin: Tokens, sql: Sql) -> None:
    for digits in ("", ".5", ".500", ".500000"):
        sql(
            "INSERT INTO audit_events (at, event, actor)"
            f" VALUES ('2020-01-01 12:00:00{digits}', 'test', 'nobody')"
        )

    for limit in (1, 2, 3):
        events = collect(client, "/admin/audit-events", admin, event="test", limit=limit)
        assert sorted(event["id"] for event in events) == [3, 4, 5, 6]


def test_no_answer_shows_a_token_or_a_hash(client: Client, admin: Tokens, sql: Sql) -> None:
    user = client.sign_up("user@example.org")
    client.refresh(user.refresh_token)
    hashes = [row[0] for row in sql("SELECT hashed_password FROM users")]

    for path in ("users", "users/2", "sessions", "audit-events", "roles"):
        text = call(client, "GET", f"/admin/{path}", admin).text.replace("has_password", "")
        for secret in ("cfa_", "cfr_", "password", "digest", PASSWORD, *hashes):
            assert secret not in text.replace("user.password", ""), (path, secret)


def test_roles_are_listed_with_their_scopes(client: Client, admin: Tokens) -> None:
    roles = {
        role["name"]: role["scopes"] for role in call(client, "GET", "/admin/roles", admin).json()
    }

    assert roles == {
        "admin": ["admin", "introspect", "moderate"],
        "moderator": ["moderate"],
        "user": [],
    }


def test_a_search_that_fits_many_goes_on_over_pages_that_hold_little(
    client: Client, admin: Tokens, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries.session_search, "_FEW", 2)
    monkeypatch.setattr(queries.session_search, "_SCAN_LENGTH", 3)
    for number in range(12):
        client.log_in("root@example.org", client_id="phone" if number % 5 == 0 else "laptop")
    client.log_in("root@example.org", client_id="tablet")

    pages = [call(client, "GET", "/admin/sessions", admin, client="phone", limit=2).json()]
    while (cursor := pages[-1]["next_cursor"]) is not None:
        pages.append(
            call(
                client, "GET", "/admin/sessions", admin, client="phone", limit=2, cursor=cursor
            ).json()
        )

    found = [one["id"] for page in pages for one in page["items"]]
    assert len(found) == len(set(found)) == 3
    assert [] in [page["items"] for page in pages[:-1]]
    assert len(collect(client, "/admin/sessions", admin)) == 14
    assert len(collect(client, "/admin/sessions", admin, client="tablet")) == 1
    counted = {"limit": 1, "with_total": "true", "client": "phone"}
    assert call(client, "GET", "/admin/sessions", admin, **counted).json()["total"] == 3
    monkeypatch.setattr(operations, "MAX_COUNTED", 2)
    assert call(client, "GET", "/admin/sessions", admin, **counted).json()["total"] is None
