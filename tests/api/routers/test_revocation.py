"""POST /revoke to the letter of RFC 7009: whoever holds a token may end it."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from counterfoil import tokens as token_format
from counterfoil.tokens import TokenKind
from tests.support.administrator import Sql, events
from tests.support.client import Client, read_tokens


def revoke(client: Client, token: str, **form: Any) -> Any:
    return client.http.post("/revoke", data={"token": token, **form})


def works(client: Client, token: str) -> bool:
    return client.me(token).status_code == 200


def test_an_access_token_ends_by_itself(client: Client) -> None:
    tokens = client.sign_up()

    answer = revoke(client, tokens.access_token)

    assert (answer.status_code, answer.content) == (200, b"")
    assert not works(client, tokens.access_token)
    assert works(client, read_tokens(client.refresh(tokens.refresh_token)).access_token)


def test_a_refresh_token_takes_its_session_along(client: Client) -> None:
    tokens, elsewhere = client.sign_up(), client.log_in()

    assert revoke(client, tokens.refresh_token).status_code == 200

    assert not works(client, tokens.access_token)
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"
    assert works(client, elsewhere.access_token)


def test_a_used_refresh_token_still_ends_its_session(client: Client) -> None:
    first = client.sign_up()
    second = read_tokens(client.refresh(first.refresh_token))

    revoke(client, first.refresh_token)

    assert not works(client, second.access_token)
    assert client.refresh(second.refresh_token).json()["error"] == "invalid_grant"


def test_an_api_key_is_revoked_and_its_owner_stays_logged_in(client: Client) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]

    assert revoke(client, key).status_code == 200

    assert not works(client, key)
    assert works(client, tokens.access_token)


@pytest.mark.one_database
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
def test_a_wrong_hint_does_not_hide_a_token(client: Client, hint: str) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]

    for token in (key, tokens.access_token, tokens.refresh_token):
        assert revoke(client, token, token_type_hint=hint).status_code == 200

    assert not works(client, key)
    assert not works(client, tokens.access_token)
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"


def test_what_is_unknown_or_dead_is_answered_alike_and_not_recorded(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    for token in (tokens.access_token, tokens.refresh_token):
        revoke(client, token)
    recorded = events(sql)
    unknown = [token_format.create(kind).text for kind in TokenKind]
    again = [tokens.access_token, tokens.refresh_token]

    for token in [*unknown, *again, "nonsense", "ä", "x" * 10_000]:
        answer = revoke(client, token)
        assert (answer.status_code, answer.content) == (200, b"")

    assert events(sql) == recorded


def test_the_audit_log_of_the_owner_says_so(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]

    for token in (key, tokens.access_token, tokens.refresh_token):
        revoke(client, token)

    found = sql("SELECT event, actor, subject, detail FROM audit_events ORDER BY id")[-3:]
    assert [event for event, *_ in found] == [
        "api_key.revoked",
        "token.revoked",
        "session.revoked",
    ]
    for _, actor, subject, detail in found:
        assert (actor, subject) == ("anonymous", "user:1")
        assert "revoked_by_holder" in str(detail)
        assert not re.search("cf[ark]_", str(detail))


@pytest.mark.one_database
def test_whoever_calls_needs_no_credential_and_may_send_any(client: Client) -> None:
    tokens = client.sign_up()
    nonsense = {"Authorization": "Bearer nonsense", "X-API-Key": "other nonsense"}
    client.http.post("/revoke", data={"token": tokens.access_token}, headers=nonsense)
    assert not works(client, tokens.access_token)


def test_what_was_revoked_while_its_user_was_disabled_stays_dead(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]
    sql("UPDATE users SET is_active = false")
    revoke(client, tokens.refresh_token)
    revoke(client, key)

    sql("UPDATE users SET is_active = true")

    assert not works(client, tokens.access_token)
    assert not works(client, key)


@pytest.mark.one_database
@pytest.mark.parametrize("body", [b"", b"token=", b"token=a&token=b", b"token=%ff", b"token=%00"])
def test_a_form_that_is_wrong_is_an_invalid_request(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = client.http.post("/revoke", headers=headers, content=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.one_database
def test_nothing_is_taken_from_the_query_string(client: Client) -> None:
    tokens = client.sign_up()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    query = {"token": tokens.access_token}

    refused = client.http.post("/revoke", headers=headers, params=query)

    assert refused.status_code == 400
    assert client.http.get("/revoke", params=query).status_code == 405
    assert works(client, tokens.access_token)


@contextmanager
def nobody_can_write(url: str) -> Iterator[None]:
    """Somebody else holds what a revocation needs, and does not let go."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            file.execute("BEGIN IMMEDIATE")
            yield
    else:
        with closing(psycopg2.connect(url)) as server, server.cursor() as cursor:
            cursor.execute("LOCK TABLE access_tokens IN SHARE MODE")
            yield


def test_what_cannot_be_revoked_now_is_not_said_to_be(
    make_client: Callable[..., Client], database_url: str
) -> None:
    client = make_client(database_deadline_seconds=0.3)
    tokens = client.sign_up()

    with nobody_can_write(database_url):
        answer = revoke(client, tokens.access_token)

    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert works(client, tokens.access_token)
    assert revoke(client, tokens.access_token).status_code == 200
    assert not works(client, tokens.access_token)
