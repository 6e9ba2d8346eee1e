"""Passwords: any Unicode, and all of it counts; each check costs the same."""

import unicodedata
from typing import Any

import pytest
from passlib.hash import bcrypt, bcrypt_sha256

from authentication.passwords.hasher import PasswordHasher
from authentication.settings import AuthenticationSettings

SETTINGS = AuthenticationSettings(bcrypt_rounds=4)
HASHER = PasswordHasher(SETTINGS)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Grows by one for each hash that bcrypt computes."""
    import bcrypt as library

    # The first use of each scheme computes one more, to see whether the library works.
    for first in (HASHER.hash(""), bcrypt.using(rounds=4).hash("")):
        HASHER.verify("", first)
    computed: list[bytes] = []
    compute = library.hashpw

    def count(password: bytes, salt: bytes) -> bytes:
        computed.append(salt)
        return compute(password, salt)

    monkeypatch.setattr(library, "hashpw", count)
    return computed


def test_a_hash_is_made_and_checked() -> None:
    hashed = HASHER.hash("correct horse")
    assert hashed.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert HASHER.verify("correct horse", hashed) == (True, None)
    assert HASHER.verify("Correct horse", hashed) == (False, None)


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("a" * 72 + "b", "a" * 72 + "c"),
        ("a" * 1023 + "b", "a" * 1023 + "c"),
        ("before\x00after", "before\x00other"),
        ("🐎" * 20 + "🔋", "🐎" * 20 + "📎"),
        (" leading", "leading"),
    ],
)
def test_every_character_of_a_password_counts(password: str, other: str) -> None:
    hashed = HASHER.hash(password)
    assert HASHER.verify(password, hashed)[0]
    assert not HASHER.verify(other, hashed)[0]


def test_composed_and_decomposed_accents_are_one_password() -> None:
    assert HASHER.verify("cafe\u0301 noir", HASHER.hash("caf\u00e9 noir"))[0]


def test_a_plain_bcrypt_hash_is_accepted_and_replaced_by_a_better_one() -> None:
    correct, better = HASHER.verify("correct horse", bcrypt.using(rounds=4).hash("correct horse"))
    assert correct
    assert better is not None
    assert better.startswith("$bcrypt-sha256$")


def test_a_hash_of_lower_cost_is_replaced_by_one_of_the_cost_that_is_set() -> None:
    dearer = PasswordHasher(AuthenticationSettings(bcrypt_rounds=5))
    correct, better = dearer.verify("correct horse", HASHER.hash("correct horse"))
    assert correct
    assert better is not None
    assert ",r=5$" in better


@pytest.mark.parametrize(
    "stored",
    ["", "!", "plain text", "$2b$", "$2b$04$short", "$argon2id$v=19$x", "$bcrypt-sha256$v=2,t=2b"],
)
def test_what_is_no_hash_of_ours_matches_nothing(stored: str, hashes: list[bytes]) -> None:
    hashes.clear()
    assert HASHER.verify("correct horse", stored) == (False, None)
    assert len(hashes) == 1


# As other systems hash them: none of these passwords is in the normal form.
UNNORMALISED = ["Straße\u00b2024", "ﬁsh and chips", "cafe\u0301 noir", "Ａda Lovelace"]


@pytest.mark.parametrize("password", UNNORMALISED)
@pytest.mark.parametrize("scheme", [bcrypt, bcrypt_sha256])
def test_the_hash_of_a_password_as_it_was_typed_is_replaced_by_that_of_its_normal_form(
    password: str, scheme: Any
) -> None:
    imported = scheme.using(rounds=4).hash(password)
    assert HASHER.verify(password, imported, upgrade=False) == (True, None)
    assert HASHER.verify(password + "!", imported) == (False, None)
    correct, better = HASHER.verify(password, imported)
    assert correct
    assert better is not None
    assert HASHER.verify(password, better) == (True, None)
    assert HASHER.verify(unicodedata.normalize("NFKC", password), better) == (True, None)


@pytest.mark.parametrize("password", [*UNNORMALISED, "wrong \u00b2", "a\x00\u00b2"])
@pytest.mark.parametrize("stored", ["as typed", "normalised", "ours", "no hash", None])
def test_a_password_that_is_not_normalised_costs_two_hashes_whatever_is_stored(
    password: str, stored: str | None, hashes: list[bytes]
) -> None:
    typed = UNNORMALISED[0]
    kinds = {
        "as typed": bcrypt.using(rounds=4).hash(typed),
        "normalised": bcrypt.using(rounds=4).hash(unicodedata.normalize("NFKC", typed)),
        "ours": HASHER.hash(typed),
        "no hash": "!",
    }
    hashes.clear()
    HASHER.verify(password, kinds[stored] if stored else None, upgrade=False)
    assert len(hashes) == 2


@pytest.mark.parametrize("password", ["correct horse", "wrong horse", "a\x00b", "x" * 5000, ""])
@pytest.mark.parametrize("stored", ["plain bcrypt", "ours", None])
def test_each_check_costs_one_hash_whatever_is_stored_and_sent(
    password: str, stored: str | None, hashes: list[bytes]
) -> None:
    kinds = {
        "ours": HASHER.hash("correct horse"),
        "plain bcrypt": bcrypt.using(rounds=4).hash("correct horse"),
    }
    hashes.clear()
    HASHER.verify(password, kinds[stored] if stored else None, upgrade=False)
    assert len(hashes) == 1


def stored_hashes(rounds: int) -> list[str]:
    ours = PasswordHasher(AuthenticationSettings(bcrypt_rounds=rounds))
    kinds = [bcrypt.using(rounds=rounds, ident=ident) for ident in ("2a", "2b", "2y")]
    older: Any = bcrypt_sha256.using(rounds=rounds, version=1)  # type: ignore[no-untyped-call]
    return [ours.hash("correct horse"), *(one.hash("correct horse") for one in (*kinds, older))]


def cost(hashes: list[bytes]) -> int:
    return sum(2 ** int(salt.split(b"$")[2]) for salt in hashes)


@pytest.mark.parametrize("rounds", [4, 5, 6, 7])
def test_a_failed_check_costs_the_same_whatever_the_stored_hash_cost(
    rounds: int, hashes: list[bytes]
) -> None:
    hasher = PasswordHasher(AuthenticationSettings(bcrypt_rounds=7))
    for stored in stored_hashes(rounds):
        for password, upgrade in (("wrong", True), ("wrong", False), ("correct horse", False)):
            hashes.clear()
            is_right, upgraded = hasher.verify(password, stored, upgrade=upgrade)
            assert (is_right, upgraded) == (password == "correct horse", None)
            assert cost(hashes) == 2**7, (stored, password, upgrade)
    hashes.clear()
    hasher.verify("wrong", None)
    assert cost(hashes) == 2**7


def test_a_hash_that_cost_more_than_is_set_takes_its_time_and_stays(hashes: list[bytes]) -> None:
    stored = stored_hashes(6)[0]
    hashes.clear()
    assert HASHER.verify("correct horse", stored) == (True, None)
    assert cost(hashes) == 2**6


def test_a_right_password_makes_nothing_up_but_is_upgraded(hashes: list[bytes]) -> None:
    hasher = PasswordHasher(AuthenticationSettings(bcrypt_rounds=7))
    for stored in stored_hashes(5):
        hashes.clear()
        is_right, better = hasher.verify("correct horse", stored)
        assert is_right
        assert better is not None
        assert ",r=7$" in better
        assert cost(hashes) == 2**5 + 2**7


def test_a_password_that_is_too_long_is_not_even_normalised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bringing thousands of accents into order takes a second, with the interpreter locked."""
    normalise = "authentication.passwords.hasher.normalise"
    monkeypatch.setattr(normalise, lambda _: pytest.fail("normalised"))
    assert HASHER.verify("a" + "\u0301\u0323" * 512, None) == (False, None)
    assert HASHER.verify("a" + "\u0301\u0323" * 512, "a hash") == (False, None)


@pytest.mark.parametrize("rounds", [19, 31])
def test_a_hash_of_a_cost_beyond_all_settings_matches_nothing_and_costs_as_much_as_any(
    rounds: int, hashes: list[bytes]
) -> None:
    plain = bcrypt.using(rounds=4).hash("correct horse").replace("$04$", f"${rounds}$")
    ours = HASHER.hash("correct horse").replace("r=4$", f"r={rounds}$")
    for stored in (plain, ours):
        hashes.clear()
        assert HASHER.verify("correct horse", stored) == (False, None)
        assert cost(hashes) == 2**4


@pytest.mark.parametrize("length", [56, 57, 1024])
def test_a_password_whose_normal_form_is_too_long_is_accepted_and_its_hash_stays(
    length: int,
) -> None:
    # One character whose normal form has eighteen.
    password = "\ufdfa" * length
    scheme: Any = bcrypt_sha256
    imported: str = scheme.using(rounds=4).hash(password)
    is_right, better = HASHER.verify(password, imported)
    assert is_right
    assert (better is None) == (18 * length > 1024)
    assert HASHER.verify(password, better or imported)[0]
