"""The audit log says why a credential was rejected, and a flood of such requests cannot fill it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from authentication.resolution import rejected_tokens
from counterfoil.tokens import TokenKind, create
from tests.support.administrator import Sql
from tests.support.client import Client, MakeClient, Tokens
from tests.support.waiting import flush_deferred_writes

Recorded = Callable[[], list[tuple[str | None, dict[str, Any]]]]


@pytest.fixture
def recorded(client: Client, sql: Sql) -> Recorded:
    """Subject and detail of each rejection, once all of them are written."""

    def read() -> list[tuple[str | None, dict[str, Any]]]:
        flush_deferred_writes(client)
        query = "SELECT subject, detail FROM audit_events WHERE event = 'token.refused' ORDER BY id"
        return [
            (subject, json.loads(detail) if isinstance(detail, str) else detail)
            for subject, detail in sql(query)
        ]

    return read


def end_by_logout(client: Client, sql: Sql, tokens: Tokens) -> None:
    client.http.post("/logout", headers=tokens.headers)


def end_by_epoch(client: Client, sql: Sql, tokens: Tokens) -> None:
    sql("UPDATE users SET session_epoch = session_epoch + 1")


def replace(client: Client, sql: Sql, tokens: Tokens) -> None:
    client.refresh(tokens.refresh_token)


def disable(client: Client, sql: Sql, tokens: Tokens) -> None:
    sql("UPDATE users SET is_active = false")


def let_expire(client: Client, sql: Sql, tokens: Tokens) -> None:
    a_while_ago = datetime.now(UTC) - timedelta(minutes=1)
    sql(f"UPDATE access_tokens SET created_at = '{a_while_ago - timedelta(hours=1):%F %T}'")
    sql(f"UPDATE access_tokens SET expires_at = '{a_while_ago:%F %T}'")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (end_by_logout, "revoked"),
        (end_by_epoch, "revoked"),
        (replace, "revoked"),
        (disable, "user disabled"),
        (let_expire, "expired"),
    ],
)
def test_the_reason_goes_to_the_audit_log(
    client: Client, sql: Sql, recorded: Recorded, end: Callable[..., None], reason: str
) -> None:
    tokens = client.sign_up()
    db = client.sessions(tokens)[0]["id"]
    end(client, sql, tokens)
    assert client.me(tokens).json()["detail"] == "The token is not valid."
    assert recorded() == [("user:1", {"reason": reason, "session": db, "count": 1})]


def test_a_rejected_api_key_is_named(client: Client, recorded: Recorded) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)
    client.http.delete(f"/api-keys/{key['id']}", headers=tokens.headers)
    assert client.http.get("/users/me", headers={"X-API-Key": key["key"]}).status_code == 401
    assert recorded() == [("user:1", {"reason": "revoked", "api_key": key["id"], "count": 1})]


def test_a_rejected_token_is_recorded_once_however_often_it_comes(
    client: Client, recorded: Recorded
) -> None:
    tokens = client.sign_up()
    client.http.post("/logout", headers=tokens.headers)
    for _ in range(3):
        client.me(tokens)
    first = recorded()
    assert [detail["count"] for _, detail in first] == [3]
    client.me(tokens)
    assert recorded() == first


def test_tokens_that_we_never_issued_are_one_event(client: Client, recorded: Recorded) -> None:
    for kind in TokenKind:
        client.me(create(kind).text)
    client.me("garbage")
    client.refresh("garbage")
    client.refresh(create(TokenKind.REFRESH).text)
    assert recorded() == [(None, {"reason": "unknown", "count": len(TokenKind) + 3})]


def test_of_a_flood_only_the_number_is_kept(
    client: Client, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected_tokens, "_MAX_PENDING", 5)
    auditor = client.http.app.state.service.rejected_tokens  # type: ignore[attr-defined]
    portal = client.http.portal
    assert portal is not None
    for number in range(12):
        portal.call(auditor.record, create(TokenKind.ACCESS).text, f"192.0.2.{number}")
    assert sum(detail["count"] for _, detail in recorded()) == 12
    for number in range(100, 140):
        portal.call(auditor.record, create(TokenKind.ACCESS).text, f"192.0.2.{number}")
    # The rest waits for its turn.
    assert len(recorded()) <= 6 + 5


def test_what_cannot_be_written_does_not_end_the_writing(
    client: Client, sql: Sql, recorded: Recorded
) -> None:
    sql("ALTER TABLE audit_events RENAME TO away")
    client.me("garbage")
    flush_deferred_writes(client)
    sql("ALTER TABLE away RENAME TO audit_events")
    assert recorded() == []
    tokens = client.sign_up()
    client.http.post("/logout", headers=tokens.headers)
    client.me(tokens)
    assert [detail["reason"] for _, detail in recorded()] == ["revoked"]


def test_it_can_be_switched_off(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(audit_refused_tokens=False)
    client.me("garbage")
    flush_deferred_writes(client)
    assert sql("SELECT count(*) FROM audit_events")[0][0] == 0
