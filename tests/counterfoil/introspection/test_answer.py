"""Nothing but a complete answer of the service is read as an identity."""

import json
from typing import Any
from uuid import uuid4

import pytest

from counterfoil.identity import CredentialKind, Identity
from counterfoil.introspection import answer
from counterfoil.introspection.answer import UnexpectedAnswer
from counterfoil.testing import make_identity
from tests.support.endpoints import described

LOGGED_IN = make_identity(user_id=7, scopes={"orders:read", "account"}, roles={"clerk"})
FULL = LOGGED_IN._replace(
    username="ada",
    surname="Lovelace",
    website="https://example.org",
    client_id="Ada's phone",
    user_roles=("clerk", "user"),
    confirmed_at=LOGGED_IN.issued_at - 60.5,
)
KEY = make_identity(user_id=8, api_key_id=uuid4(), expires_at=None)


@pytest.mark.parametrize("identity", [LOGGED_IN, FULL, KEY], ids=["session", "full", "key"])
def test_what_is_written_is_read_again(identity: Identity) -> None:
    assert answer.read(described(identity)) == identity


def test_an_inactive_token_has_no_identity() -> None:
    assert answer.read(b'{"active":false}') is None
    assert answer.read(described(FULL, active=False)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"true",
        b"null",
        b"[]",
        b'"active"',
        b"{}",
        b'{"active":"true"}',
        b'{"active":1}',
        b'{"active":null}',
        b'{"active":true}',
        b'{"active":true',
        b"<html>active: true</html>",
        b"\xff\xfe",
        b"[" * 60_000,
    ],
)
def test_what_is_no_answer_is_no_identity_and_no_missing_one(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        answer.read(body)


NEEDED = (
    *("sub", "kind", "sid", "email", "name", "scope", "roles", "user_roles"),
    *("user_created_at", "user_updated_at", "issued_at", "looked_up_at"),
)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("value", [None, True, {}, [1]])
def test_a_member_that_is_missing_or_of_another_type_is_no_answer(name: str, value: Any) -> None:
    with pytest.raises(UnexpectedAnswer, match=name):
        answer.read(described(FULL, **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", "ada"),
        ("sub", ""),
        ("sub", "-7"),
        ("sub", "٧"),
        ("sub", "9" * 5000),
        ("sub", 7),
        ("sid", "no-uuid"),
        ("kind", "refresh_token"),
        ("kind", "api_key"),
        ("issued_at", float("nan")),
        ("expires_at", float("inf")),
        ("expires_at", 10**400),
        ("expires_at", "tomorrow"),
        ("confirmed_at", False),
        ("access_token_id", "17"),
        ("client_id", 5),
    ],
)
def test_a_member_with_an_impossible_value_is_no_answer(name: str, value: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        answer.read(described(FULL, **{name: value}))


def test_a_number_that_is_too_large_for_a_float_is_no_time() -> None:
    members = json.loads(described(FULL))
    del members["expires_at"]
    body = json.dumps(members)[:-1] + ', "expires_at": 1e999}'
    with pytest.raises(UnexpectedAnswer):
        answer.read(body.encode())


def test_an_api_key_has_no_session_that_could_grow_stale() -> None:
    found = answer.read(described(KEY))
    assert found is not None
    assert (found.kind, found.session_id) == (CredentialKind.API_KEY, None)
