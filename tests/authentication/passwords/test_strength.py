"""Weak passwords are rejected with a reason; what is strong needs no mixture of characters."""

import pytest

from authentication.errors import WeakPassword
from authentication.passwords.hasher import PasswordHasher
from authentication.passwords.strength import reject_weak
from authentication.settings import AuthenticationSettings

SETTINGS = AuthenticationSettings(bcrypt_rounds=4)
HASHER = PasswordHasher(SETTINGS)

WEAK = {
    "": "at least 8 characters",
    "short 7": "at least 8 characters",
    "🐎🔋📎🎲🎷🎺🎻": "at least 8 characters",
    "\ufdfa": "at least 8 characters",
    "e\u0301" * 7: "at least 8 characters",
    "password": "among the most common",
    "PASSWORD": "among the most common",
    "passwordpassword": "among the most common",
    "aaaaaaaaaaaaaaaa": "among the most common",
    "abababababababab": "among the most common",
    "ｐａｓｓｗｏｒｄ": "among the most common",
    "counterfoil": "name of this service",
    "Counterfoil": "name of this service",
    "counterfoilcounterfoil": "name of this service",
    "ada@example.org": "your name, your address",
    "lovelace42": "your name, your address",
    "LoveLace42": "your name, your address",
    "x" * 1025: "at most 1,024 characters",
    "\ufdfa" * 100: "at most 1,024 characters",
}


@pytest.mark.parametrize("password", WEAK, ids=lambda password: ascii(password[:20]))
def test_a_weak_password_is_refused_with_the_reason(password: str) -> None:
    with pytest.raises(WeakPassword, match=WEAK[password]):
        reject_weak(password, settings=SETTINGS, words=("ada@example.org", "lovelace42"))


@pytest.mark.parametrize(
    "password",
    [
        "abcdefghijklmnopqrst",
        "🐎🔋📎🎲🎷🎺🎻🥁",
        "correct horse battery staple",
        "x y " * 255 + "zzz",
        "        spaces        ",
        "nul\x00nul\x00nul",
        "пароль на кириллице",
    ],
    ids=lambda password: ascii(password[:20]),
)
def test_a_password_needs_no_mixture_of_characters(password: str) -> None:
    reject_weak(password, settings=SETTINGS)
    assert HASHER.verify(password, HASHER.hash(password))[0]


def test_the_minimum_is_a_setting() -> None:
    settings = AuthenticationSettings(password_min_length=15)
    with pytest.raises(WeakPassword, match="at least 15"):
        reject_weak("fourteen chars", settings=settings)
    reject_weak("fifteen chars !", settings=settings)
