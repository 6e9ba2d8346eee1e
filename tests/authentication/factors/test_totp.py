"""Codes of authenticator apps are those of RFC 6238; their secrets are sealed for their rows."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError

from authentication.factors import methods, sealing, totp
from authentication.factors.sealing import CannotOpen, Sealer
from authentication.settings import AuthenticationSettings
from database.queries.factors import Counts

# RFC 6238, appendix B, for SHA-1. Ours are the last six digits of eight.
SECRET = b"12345678901234567890"
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_vectors_of_the_standard(seconds: int, code: str) -> None:
    now, sent = datetime.fromtimestamp(seconds, UTC), code[2:]
    assert totp.find_step(SECRET, sent, now) == seconds // 30
    assert totp.find_step(SECRET, sent, now + timedelta(seconds=30)) == seconds // 30
    assert totp.find_step(SECRET, sent, now + timedelta(seconds=60)) is None
    assert totp.find_step(SECRET, sent, now - timedelta(seconds=30)) is None


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("287082", "287082"),
        (" 287 082 ", "287082"),
        ("\uff12\uff18\uff17\uff10\uff18\uff12", None),
        ("28708", None),
        ("2870822", None),
        ("28708x", None),
        ("-87082", None),
        ("287082\n", None),
        ("", None),
        ("\u0662\u0668\u0667\u0660\u0668\u0662", None),
    ],
)
def test_only_six_digits_of_ascii_are_a_code(typed: str, code: str | None) -> None:
    assert totp.clean(typed) == code


def test_what_is_sealed_opens_in_its_context_alone() -> None:
    key = sealing.read_key(sealing.create_key())
    sealer = Sealer([key])
    sealed = sealer.seal(SECRET, context="totp 42")
    assert len(sealed) == 49
    assert SECRET not in sealed
    assert sealer.open(sealed, context="totp 42") == SECRET
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for odd in (sealed[:-1], sealed[:5], b"", b"\x02" + sealed[1:], changed):
        with pytest.raises(CannotOpen):
            sealer.open(odd, context="totp 42")
    with pytest.raises(CannotOpen):
        sealer.open(sealed, context="totp 43")
    # By the library alone, so that others can read it as well.
    assert AESGCM(key).decrypt(sealed[1:13], sealed[13:], b"totp 42") == SECRET
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(sealed[1:13], sealed[13:], b"")


def test_the_first_key_seals_and_all_of_them_open() -> None:
    old, new = (sealing.read_key(sealing.create_key()) for _ in range(2))
    sealed = Sealer([old]).seal(SECRET, context="x")
    both = Sealer([new, old])
    assert both.open(sealed, context="x") == SECRET
    assert not both.is_by_first(sealed, context="x")
    again = both.seal(SECRET, context="x")
    assert Sealer([new]).open(again, context="x") == SECRET
    assert both.is_by_first(again, context="x")


@pytest.mark.parametrize("key", ["short", "x" * 44, "\u00e9" * 43, "a" * 40])
def test_a_malformed_key_is_rejected_and_not_repeated(key: str) -> None:
    good = sealing.create_key()
    with pytest.raises(ValidationError) as raised:
        AuthenticationSettings(secret_keys=f"{good},{key}")  # type: ignore[arg-type]
    assert "python api.py secret-key" in str(raised.value)
    assert key not in str(raised.value)
    assert good not in str(raised.value)


def test_what_was_given_is_named_once_in_a_stable_order() -> None:
    assert methods.join(["pwd"]) == "pwd"
    assert methods.add("pwd", ["otp"]) == "mfa otp pwd"
    assert methods.add("mfa otp pwd", ["otp"]) == "mfa otp pwd"
    assert methods.add(None, ["otp"]) == "otp"


def test_recovery_codes_alone_are_no_factor() -> None:
    assert methods.of(Counts(passkeys=0, totp=0, recovery_codes=10)) == []
    assert methods.of(Counts(passkeys=1, totp=1, recovery_codes=0)) == ["passkey", "code"]
