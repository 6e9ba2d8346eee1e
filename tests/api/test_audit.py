"""The audit log: who did what to whom and from where, in the transaction of what it records."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient

from authentication.audit import Event
from harness.server import REPOSITORY
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD, Client, MakeApp, Tokens, read_tokens
from tests.support.waiting import flush_deferred_writes

ADDRESS = "192.0.2.7"


class Recorded(NamedTuple):
    event: str
    actor: str
    subject: str | None
    ip: str | None
    detail: dict[str, Any]


Read = Callable[[], list[Recorded]]


@pytest.fixture
def client(make_app: MakeApp) -> Iterator[Client]:
    """A client with an address, of a service that allows no second use of a refresh token."""
    app = make_app(refresh_grace_seconds=0)
    with TestClient(app, client=(ADDRESS, 5000), raise_server_exceptions=False) as http:
        yield Client(http)


@pytest.fixture
def recorded(sql: Sql) -> Read:
    """What has been recorded since it was last asked."""
    seen = 0

    def read() -> list[Recorded]:
        nonlocal seen
        rows = sql("SELECT id, event, actor, subject, ip, detail FROM audit_events ORDER BY id")
        new, seen = [row for row in rows if row[0] > seen], rows[-1][0] if rows else seen
        return [Recorded._make((*row[1:5], _parse(row[5]))) for row in new]

    return read


def _parse(detail: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(detail) if isinstance(detail, str) else detail
    return parsed


def only(events: list[Recorded]) -> Recorded:
    assert len(events) == 1, events
    return events[0]


def session_of(client: Client, tokens: Tokens) -> str:
    return next(str(one["id"]) for one in client.sessions(tokens) if one["current"])


def test_registering_is_recorded_with_the_roles(client: Client, recorded: Read) -> None:
    client.register()

    expected = Recorded("user.created", "user:1", "user:1", ADDRESS, {"roles": ["user"]})
    assert only(recorded()) == expected


def test_every_outcome_of_a_login_is_recorded(client: Client, recorded: Read, sql: Sql) -> None:
    client.register()
    recorded()

    session = session_of(client, client.log_in(client_id="phone"))
    detail = {"session": session, "client_id": "phone", "amr": "pwd"}
    assert only(recorded()) == Recorded("login.succeeded", "user:1", "user:1", ADDRESS, detail)

    client.try_to_log_in(password="another password")
    client.try_to_log_in("nobody@example.org")
    client.try_to_log_in(scope="admin")
    sql("UPDATE users SET is_active = false")
    client.try_to_log_in()
    failed = recorded()
    assert {(one.event, one.actor, one.ip) for one in failed} == {
        ("login.failed", "anonymous", ADDRESS)
    }
    assert [(one.subject, one.detail["reason"]) for one in failed] == [
        ("user:1", "wrong password"),
        (None, "unknown user"),
        ("user:1", "invalid_scope"),
        ("user:1", "disabled"),
    ]


def test_every_outcome_of_a_refresh_is_recorded(client: Client, recorded: Read, sql: Sql) -> None:
    first = client.sign_up()
    session = session_of(client, first)
    recorded()

    second = client.refresh(first.refresh_token).json()["refresh_token"]
    assert only(recorded()) == Recorded(
        "token.refreshed", "user:1", "user:1", ADDRESS, {"session": session}
    )

    assert client.refresh(second, scope="admin").json()["error"] == "invalid_scope"
    flush_deferred_writes(client)
    refused = only(recorded())
    assert (refused.event, refused.actor, refused.subject) == (
        "token.refresh_failed",
        "anonymous",
        "user:1",
    )
    assert refused.detail == {"session": session, "reason": "invalid_scope", "count": 1}

    client.refresh(first.refresh_token)
    assert only(recorded())[:4] == ("token.refresh_reused", "user:1", "user:1", ADDRESS)

    third = client.log_in()
    ended = session_of(client, third)
    client.http.post("/logout", headers=third.headers)
    recorded()
    for _ in range(5):
        client.refresh(third.refresh_token)
    flush_deferred_writes(client)
    assert only(recorded()).detail == {"session": ended, "reason": "session ended", "count": 5}


def test_a_refresh_with_a_scope_that_cannot_be_given_leaves_the_token_unused(
    client: Client,
) -> None:
    tokens = client.sign_up()

    assert client.refresh(tokens.refresh_token, scope="admin").status_code == 400

    assert client.me(tokens).status_code == 200
    assert client.refresh(tokens.refresh_token, scope="account").status_code == 200


def test_a_reused_token_ends_the_session_whatever_scope_it_is_sent_with(
    client: Client, recorded: Read
) -> None:
    first = client.sign_up()
    second = client.refresh(first.refresh_token).json()["access_token"]
    recorded()

    assert client.refresh(first.refresh_token, scope="admin").json()["error"] == "invalid_grant"

    assert only(recorded()).event == "token.refresh_reused"
    assert client.me(second).status_code == 401


def test_the_end_of_a_session_is_recorded_with_who_ended_it_and_why(
    client: Client, recorded: Read
) -> None:
    phone, laptop, tablet = client.sign_up(), client.log_in(), client.log_in()
    ids = [session_of(client, tokens) for tokens in (phone, laptop, tablet)]
    recorded()

    client.http.post("/logout", headers=phone.headers)
    client.http.delete(f"/sessions/{ids[1]}", headers=tablet.headers)
    client.http.delete("/sessions?keep_current=true", headers=tablet.headers)
    client.http.post("/revoke", data={"token": tablet.access_token})

    events = recorded()
    assert {one[1:4] for one in events[:3]} == {("user:1", "user:1", ADDRESS)}
    assert [(one.event, one.detail) for one in events] == [
        ("session.revoked", {"session": ids[0], "reason": "logout"}),
        ("session.revoked", {"session": ids[1], "reason": "ended_by_user"}),
        ("sessions.revoked", {"count": 0, "kept": ids[2], "reason": "ended_by_user"}),
        ("token.revoked", {"session": ids[2], "reason": "revoked_by_holder"}),
    ]
    assert events[3][1:4] == ("anonymous", "user:1", ADDRESS)


def test_changes_of_the_account_are_recorded_and_wrong_passwords_as_well(
    client: Client, recorded: Read
) -> None:
    tokens = client.sign_up()
    recorded()

    def change(method: str, path: str, **body: Any) -> Any:
        return client.http.request(method, path, headers=tokens.headers, json=body or None)

    change("PATCH", "/users/me", name="Augusta")
    change("PATCH", "/users/me", email="other@example.org", current_password="a wrong one")
    wrong = {"current_password": "a wrong one", "new_password": "quite another pass"}
    change("PUT", "/users/me/password", **wrong)
    changed = change("PUT", "/users/me/password", **{**wrong, "current_password": PASSWORD})
    tokens = read_tokens(changed)
    change("DELETE", "/users/me")

    events = recorded()
    assert {one[1:4] for one in events} == {("user:1", "user:1", ADDRESS)}
    assert [one.event for one in events] == [
        "user.changed",
        "user.password_refused",
        "user.password_refused",
        "user.password_changed",
        "sessions.revoked",
        "user.deleted",
    ]
    assert events[0].detail == {"fields": ["name"]}


def test_api_keys_are_recorded_by_their_hint(client: Client, recorded: Read) -> None:
    tokens = client.sign_up()
    recorded()

    made = client.create_api_key(tokens, scopes=[])
    path = f"/api-keys/{made['id']}"
    rotated = client.http.post(f"{path}/rotate", headers=tokens.headers).json()
    client.http.delete(path, headers=tokens.headers)

    events = recorded()
    assert {one[1:4] for one in events} == {("user:1", "user:1", ADDRESS)}
    assert [(one.event, one.detail["hint"]) for one in events] == [
        ("api_key.created", made["key"][-4:]),
        ("api_key.rotated", rotated["key"][-4:]),
        ("api_key.revoked", made["key"][-4:]),
    ]


def test_what_an_administrator_does_is_recorded_in_their_name(
    client: Client, recorded: Read, sql: Sql
) -> None:
    client.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    admin = client.log_in("root@example.org")
    user = client.sign_up("user@example.org")
    session = session_of(client, user)
    key = client.create_api_key(user, scopes=[])["id"]
    recorded()

    def act(method: str, path: str, **body: Any) -> None:
        answer = client.http.request(
            method, f"/admin/{path}", headers=admin.headers, json=body or None
        )
        assert answer.is_success, answer.text

    act("PATCH", "users/2", roles=["moderator"])
    act("PATCH", "users/2", roles=["moderator"])
    act("DELETE", f"api-keys/{key}")
    act("DELETE", f"sessions/{session}")
    act("DELETE", "users/2/sessions")
    act("PATCH", "users/2", is_active=False)
    act("PATCH", "users/2", is_active=True)

    events = recorded()
    assert {one[1:4] for one in events} == {("user:1", "user:2", ADDRESS)}
    assert [(one.event, one.detail.get("reason")) for one in events] == [
        ("user.roles_changed", None),
        ("api_key.revoked", "ended_by_administrator"),
        ("session.revoked", "ended_by_administrator"),
        ("sessions.revoked", "ended_by_administrator"),
        ("user.disabled", None),
        ("sessions.revoked", "user_disabled"),
        ("user.enabled", None),
    ]


def test_what_cannot_be_recorded_does_not_happen(client: Client, sql: Sql) -> None:
    client.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    admin = client.log_in("root@example.org")
    user = client.sign_up("user@example.org")
    session = session_of(client, user)
    sql("ALTER TABLE audit_events RENAME TO away")

    attempts = [
        client.http.post("/logout", headers=user.headers),
        client.http.delete(f"/admin/sessions/{session}", headers=admin.headers),
        client.http.patch("/admin/users/2", headers=admin.headers, json={"roles": []}),
        client.http.patch("/admin/users/2", headers=admin.headers, json={"is_active": False}),
        client.http.post("/admin/sessions/revoke", headers=admin.headers, json={"ids": ["*"]}),
        client.http.delete("/users/me", headers=user.headers),
        client.refresh(user.refresh_token),
        client.try_to_log_in("user@example.org"),
    ]

    sql("ALTER TABLE away RENAME TO audit_events")
    assert {answer.status_code for answer in attempts} <= {500, 503}
    assert client.me(user).json()["roles"] == ["user"]
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(2,)]
    assert client.refresh(user.refresh_token).status_code == 200


def test_every_event_is_documented() -> None:
    text = (REPOSITORY / "docs" / "reference" / "administration.md").read_text()

    assert [event for event in Event if f"`{event}`" not in text] == []


@pytest.mark.parametrize("detail", ["[1]", '"text"', "null", "{}"])
def test_a_detail_that_is_no_object_is_shown_all_the_same(
    client: Client, sql: Sql, detail: str
) -> None:
    client.register()
    give_role(sql, "admin")
    sql(f"UPDATE audit_events SET detail = '{detail}'")
    headers = client.log_in().headers
    answer = client.http.get("/admin/audit-events", headers=headers)
    assert answer.status_code == 200
    shown = [event["detail"] for event in answer.json()["items"]]
    assert shown[-1] == ({} if detail == "{}" else {"value": json.loads(detail)})
