"""Passwords: any Unicode, all of it counts, weak ones are refused with a reason."""

import asyncio
import threading

import pytest
from passlib.hash import bcrypt

from authentication.errors import HashingBusy, WeakPassword
from authentication.passwords.hasher import PasswordHasher, refuse_weak
from authentication.passwords.queue import HashingThreads
from authentication.settings import AuthenticationSettings

SETTINGS = AuthenticationSettings(bcrypt_rounds=4)
HASHER = PasswordHasher(SETTINGS)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Grows by one for each hash that bcrypt computes."""
    import bcrypt as library

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


def test_a_password_that_is_too_long_is_not_even_normalised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bringing thousands of accents into order takes a second, with the interpreter locked."""
    normalise = "authentication.passwords.hasher._normalise"
    monkeypatch.setattr(normalise, lambda _: pytest.fail("normalised"))
    assert HASHER.verify("a" + "\u0301\u0323" * 512, None) == (False, None)
    assert HASHER.verify("a" + "\u0301\u0323" * 512, "a hash") == (False, None)


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
        refuse_weak(password, settings=SETTINGS, context=("ada@example.org", "lovelace42"))


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
    refuse_weak(password, settings=SETTINGS)
    assert HASHER.verify(password, HASHER.hash(password))[0]


def test_the_minimum_is_a_setting() -> None:
    settings = AuthenticationSettings(password_min_length=15)
    with pytest.raises(WeakPassword, match="at least 15"):
        refuse_weak("fourteen chars", settings=settings)
    refuse_weak("fifteen chars !", settings=settings)


async def fill(threads: HashingThreads, places: int) -> list[str]:
    """Send one more than there are places for, and let the others go once that is refused."""
    release = threading.Event()
    waiting = [asyncio.create_task(threads.run(release.wait)) for _ in range(places)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(HashingBusy):
            await threads.run(lambda: None)
    finally:
        release.set()
    await asyncio.gather(*waiting)
    return [await threads.run(lambda: "free again")]


def test_past_its_queue_hashing_is_refused_and_then_goes_on() -> None:
    threads = HashingThreads(AuthenticationSettings(hashing_threads=1, hashing_queue=2))
    try:
        assert asyncio.run(fill(threads, 3)) == ["free again"]
    finally:
        threads.close()


async def hang_up(threads: HashingThreads) -> None:
    """Give up on a hash under way and on one that waits; their places come back."""
    release = threading.Event()
    tasks = [asyncio.create_task(threads.run(release.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The one under way keeps its thread, so only one place is free.
    with_one_free = asyncio.create_task(threads.run(release.wait))
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy):
        await threads.run(lambda: None)
    release.set()
    assert await with_one_free


def test_a_client_that_hangs_up_leaves_no_hole_in_the_limit() -> None:
    threads = HashingThreads(AuthenticationSettings(hashing_threads=1, hashing_queue=1))
    try:
        asyncio.run(hang_up(threads))
    finally:
        threads.close()
