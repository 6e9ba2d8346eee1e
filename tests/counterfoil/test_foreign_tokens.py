"""Tokens of other systems: which texts may be such, and by what their rows are found."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256, sha512
from typing import Any

import pytest

from counterfoil import foreign_tokens, tokens
from counterfoil.authenticator import Authenticator
from counterfoil.foreign_tokens import ForeignTokens
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.resolver import Resolver
from counterfoil.tokens import TokenKind

DRF = "9801e40493f6270daad3876916d522fee347922a"
FASTAPI_USERS = "zQeof2_UUnIlTZQyrNlPdlH3Yf2fpSrnuDtRXVLqt-A"
KNOX = "3c9ae23274bfcfab7435047769f26701f93be4f63b8d90d262606c01fccb6508"
SANCTUM = "42|" + "a1B2" * 10 + "0f0f0f0f"


def sha(text: str) -> bytes:
    return sha256(text.encode()).digest()


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (DRF, sha(DRF)),
        (FASTAPI_USERS, sha(FASTAPI_USERS)),
        (KNOX, sha256(sha512(KNOX.encode()).digest()).digest()),
        ("prefix-10_" + KNOX, sha256(sha512(b"prefix-10_" + KNOX.encode()).digest()).digest()),
        (SANCTUM, sha(SANCTUM[3:])),
        (DRF[1:], None),
        (FASTAPI_USERS + "=", None),
        ("prefix-of-11" + KNOX, None),
        (SANCTUM[3:], None),
        ("\u0661|" + SANCTUM[3:], None),
        ("", None),
        ("\ud800" * 43, None),
    ],
    ids=lambda value: ascii(value)[:12],
)
def test_the_form_of_a_token_says_what_its_digest_is(text: str, digest: bytes | None) -> None:
    assert foreign_tokens.digest(text) == digest
    assert tokens.recognise(text) == (None if digest is None else (TokenKind.ACCESS, digest))


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_of_ours_is_never_taken_for_one_of_another_system(kind: TokenKind) -> None:
    text = tokens.create(kind).text
    assert tokens.recognise(text) == (kind, sha(text))
    for damaged in (text[:-1], text + "a", text[:-1] + "!", text[4:]):
        assert tokens.recognise(damaged) is None


def test_they_are_accepted_through_the_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = ForeignTokens(date(2027, 3, 31))
    assert accepted.ends_at == datetime(2027, 4, 1, tzinfo=UTC)
    for now, digest in (
        (datetime(2027, 3, 31, 23, 59, 59, tzinfo=UTC), sha(DRF)),
        (datetime(2027, 4, 1, tzinfo=UTC), None),
    ):
        monkeypatch.setattr("time.time", now.timestamp)
        assert accepted.digest(DRF) == digest
        assert ForeignTokens(None).digest(DRF) is None


class NoLookup:
    """A connection on which nothing is live, and that remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[CredentialKind, Sequence[bytes]]] = []
        self.on_free: Any = None

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def is_free(self) -> bool:
        return True

    def is_down(self) -> bool:
        return False

    def find(
        self, kind: CredentialKind, digests: Sequence[bytes]
    ) -> "asyncio.Future[list[LiveCredential]]":
        self.asked.append((kind, digests))
        answer: asyncio.Future[list[LiveCredential]] = asyncio.get_running_loop().create_future()
        answer.set_result([])
        return answer


@pytest.mark.parametrize("days", [None, -2, 2])
def test_none_is_looked_up_where_none_is_accepted(days: int | None) -> None:
    lookup = NoLookup()
    until = None if days is None else (datetime.now(UTC) + timedelta(days=days)).date()

    async def ask() -> None:
        resolver = Resolver(lookup, deadline_seconds=5, foreign=ForeignTokens(until))
        await resolver.open()
        assert await resolver.resolve(KNOX) is None
        assert await resolver.resolve_both(DRF, "garbage") == (None, None)
        await resolver.close()

    asyncio.run(ask())
    expected = [foreign_tokens.digest(KNOX), sha(DRF)] if days == 2 else []
    assert lookup.asked == [(CredentialKind.ACCESS_TOKEN, [digest]) for digest in expected]


@pytest.mark.parametrize("takes_foreign", [False, True])
def test_the_scheme_of_django_rest_framework_counts_only_where_they_are_accepted(
    takes_foreign: bool,
) -> None:
    resolver = Resolver(NoLookup(), deadline_seconds=5)
    authenticator = Authenticator(resolver, takes_foreign=takes_foreign)
    for scheme in ("Token", "TOKEN", "token"):
        sent = [(b"authorization", f"{scheme} {DRF}".encode())]
        assert authenticator.find_credential(sent) == (DRF if takes_foreign else None)
    assert authenticator.find_credential([(b"authorization", b"Basic abc")]) is None
    assert authenticator.find_credential([(b"authorization", f"Bearer {DRF}".encode())]) == DRF
