"""Hashes of other systems: checked if a setting says so, in equal time, and replaced."""

import hashlib
import threading
import time
from typing import Any

import bcrypt
import passlib.hash
import pytest

from authentication.passwords import foreign
from authentication.passwords.foreign import ForeignHashes
from authentication.passwords.hasher import NO_PASSWORD, PasswordHasher
from authentication.settings import AuthenticationSettings, ForeignHash
from tests.support.client import PASSWORD

ALL = tuple(ForeignHash)
PASSLIB: Any = passlib.hash

# What these systems made of PASSWORD.
DJANGO_ARGON2 = (
    "argon2$argon2id$v=19$m=102400,t=2,p=8$QjlUcG9LVFdnM3dMaGZ4QUliYzkxaw"
    "$FuXqR5Tdrsoap03SDWV46N4gRd2Y7nT7BMi8NzFRnYg"
)
PWDLIB_ARGON2 = (
    "$argon2id$v=19$m=65536,t=3,p=4$Qde0zXnQ3F3J/Hv5fbV1pg"
    "$bOG2U2RZXZx9seALb4hjMuxpMvoplI1bpV72npUqnlM"
)
DJANGO_PBKDF2 = (
    "pbkdf2_sha256$1000000$zlcARmlhVhEcM1kehKRDKm$XJGfHVMFfMsqwW+gTlBUXvZEVUAxl/BQKmPKTKe0q0U="
)
DJANGO_BCRYPT = "bcrypt$$2b$12$iCdEIYzM0nNLryIKmb00m.v.GYT4ui2lK8iKCwS6.S3W/BAG51Xv."
DJANGO_BCRYPT_SHA256 = "bcrypt_sha256$$2b$12$L8zEDajZSHvYoDNrcfYrz.dfn/RIPEeFpAyrfgBSrf5ykfvtwiUuK"
DJANGO_SCRYPT = (
    "scrypt$16384$FbhnCmwf1RcqmlJB8w95MU$8$5$jTI8XxNmdQuEynUS3WZr7vRPgFWR2+H7dkOiFY/WO2ikKq59gYIj"
    "YppJQH6FtCI0IIgapHcm3sm6KBv9AbgaBw=="
)
WERKZEUG_SCRYPT = (
    "scrypt:32768:8:1$vHks9ehHGgQ6weTC$29161767c61e440fe642fb6424f501d7334d7d7922daa40dda17c313b6a9"
    "a61fdaa850b47eda028e7a59be4a2cd3b0574d495bb51a580fa282210d6b8b5e4045"
)
WERKZEUG_PBKDF2 = (
    "pbkdf2:sha256:1000000$RqZAWm700hZ56ewW$"
    "29bccd8c195a02a0c284560ad81b4bf93ca87f86fcfbc05a740a6110638041f6"
)
MADE_BY = {
    "Django's Argon2": (DJANGO_ARGON2, ForeignHash.ARGON2),
    "pwdlib": (PWDLIB_ARGON2, ForeignHash.ARGON2),
    "Django": (DJANGO_PBKDF2, ForeignHash.PBKDF2),
    "werkzeug's PBKDF2": (WERKZEUG_PBKDF2, ForeignHash.PBKDF2),
    "passlib's PBKDF2": (PASSLIB.pbkdf2_sha256.using(rounds=9).hash(PASSWORD), ForeignHash.PBKDF2),
    "Django's scrypt": (DJANGO_SCRYPT, ForeignHash.SCRYPT),
    "werkzeug": (WERKZEUG_SCRYPT, ForeignHash.SCRYPT),
    "passlib's scrypt": (PASSLIB.scrypt.using(rounds=4).hash(PASSWORD), ForeignHash.SCRYPT),
    "Django's bcrypt": (DJANGO_BCRYPT, ForeignHash.DJANGO_BCRYPT),
    "Django's bcrypt over SHA-256": (DJANGO_BCRYPT_SHA256, ForeignHash.DJANGO_BCRYPT),
}
SYSTEMS = pytest.mark.parametrize("system", MADE_BY)

SECONDS_OF_ONE_ROUND = 1e-4
HASHER = PasswordHasher(AuthenticationSettings(bcrypt_rounds=4, foreign_password_hashes=ALL))


@SYSTEMS
def test_a_hash_of_each_system_is_checked_where_its_kind_is_enabled(system: str) -> None:
    hashed, kind = MADE_BY[system]
    hashes = ForeignHashes([kind])
    assert hashes.identify(hashed)
    assert hashes.check(PASSWORD, hashed).is_right
    assert not hashes.check(PASSWORD + " ", hashed).is_right
    others = ForeignHashes([other for other in ALL if other is not kind])
    assert not others.identify(hashed)
    assert not others.check(PASSWORD, hashed).is_right


def argon2(**parameters: object) -> str:
    chosen = {"v": 19, "m": 8, "t": 1, "p": 1, **parameters}
    version = f"v={chosen['v']}$" if chosen["v"] else ""
    cost = f"m={chosen['m']},t={chosen['t']},p={chosen['p']}"
    return f"$argon2id${version}{cost}$c29tZXNhbHRzYWx0$jTI8XxNmdQuEynUS3WZr7g"


@pytest.mark.parametrize(
    "hashed",
    [
        argon2(m=256 * 1024 + 1),
        argon2(m=102_400, t=9),
        argon2(p=65, m=8 * 65),
        argon2(t="9" * 10),
        argon2(v=7),
        "pbkdf2_sha256$4800001$salt$jTI8XxNm",
        "pbkdf2_sha256$0$salt$jTI8XxNm",
        "pbkdf2_sha256$1$salt$jTI8XxNmd",
        "scrypt$16384$salt$8$21$jTI8",
        "scrypt:262144:1024:1$salt$00",
        "scrypt:16384:8:1$salt$000",
        "$scrypt$ln=99,r=8,p=1$c2FsdA$jTI8",
        "bcrypt$$2b$19$" + "." * 53,
        "bcrypt$$2b$12$short",
        "pbkdf2_sha512$1$salt$jTI8",
        NO_PASSWORD,
        "",
    ],
)
def test_a_hash_that_costs_too_much_or_is_none_matches_nothing(hashed: str) -> None:
    assert not HASHER.is_known(hashed)


@pytest.mark.parametrize(
    "hashed", ["scrypt$3$salt$8$1$jTI8", argon2(m=7), "scrypt$16384$salt$0$1$jTI8"]
)
def test_parameters_that_a_library_rejects_raise_value_errors(hashed: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ForeignHashes(ALL).check("", hashed)


def test_any_password_can_be_sent() -> None:
    for password in ("a\x00b", "x" * 5000, "\ud800", ""):
        assert HASHER.verify(password, MADE_BY["passlib's scrypt"][0]) == (False, None)


def test_a_right_password_gets_a_hash_of_ours() -> None:
    hashed = MADE_BY["passlib's PBKDF2"][0]
    is_right, better = HASHER.verify(PASSWORD, hashed)
    assert (is_right, str(better)[:15]) == (True, "$bcrypt-sha256$")
    assert HASHER.verify(PASSWORD, better) == (True, None)
    assert HASHER.verify(PASSWORD, hashed, upgrade=False) == (True, None)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The processor time of this thread, which only hashes use up, each by what it costs."""
    used = [0.0]

    def charge(seconds: float) -> bytes:
        used[0] += seconds
        return bytes(32)

    def hashpw(_password: bytes, salt: bytes) -> bytes:
        charge(2 ** int(salt.split(b"$")[2]) * SECONDS_OF_ONE_ROUND)
        return salt + b"." * 31

    def pbkdf2_hmac(_name: str, _password: bytes, _salt: bytes, rounds: int, **_: Any) -> bytes:
        return charge(rounds * 1e-6)

    def hash_by_scrypt(_password: bytes, *, n: int, r: int, p: int, **_: Any) -> bytes:
        return charge(n * r * p * 1e-6)

    def hash_by_argon2(_kind: Any, _password: bytes, *, kib: int, passes: int, **_: Any) -> bytes:
        return charge(kib * passes * 3e-6)

    # Each scheme of passlib computes a hash when it is first used.
    PasswordHasher(AuthenticationSettings(bcrypt_rounds=4)).hash("")
    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", pbkdf2_hmac)
    monkeypatch.setattr(hashlib, "scrypt", hash_by_scrypt)
    monkeypatch.setattr(foreign, "_compute_argon2", hash_by_argon2)
    monkeypatch.setattr(time, "thread_time", lambda: used[0])
    return used


def cost(hasher: PasswordHasher, password: str, hashed: str | None, seconds: list[float]) -> float:
    before = seconds[0]
    assert hasher.verify(password, hashed, upgrade=False)[1] is None
    return seconds[0] - before


@pytest.mark.parametrize("rounds", [10, 14])
@pytest.mark.parametrize("enabled", [ALL, (ForeignHash.PBKDF2,), (ForeignHash.DJANGO_BCRYPT,)])
def test_each_check_takes_the_same_time_whoever_was_imported(
    seconds: list[float], enabled: tuple[ForeignHash, ...], rounds: int
) -> None:
    settings = AuthenticationSettings(bcrypt_rounds=rounds, foreign_password_hashes=enabled)
    hasher = PasswordHasher(settings)
    # The first check measures how fast this machine is.
    hasher.verify("first", None)
    ours = f"$bcrypt-sha256$v=2,t=2b,r={rounds - 1}${'.' * 22}${'.' * 31}"
    imported = [hashed for hashed, _ in MADE_BY.values()]
    costs = [
        cost(hasher, password, hashed, seconds)
        for password in ("wrong", "x" * 5000, "a\x00b", "\ud800")
        for hashed in (None, NO_PASSWORD, "", ours, f"$2b$04${'.' * 53}", *imported)
        # Nothing can be made up for a hash that cost more than is usual.
        if hashed is None or hasher.is_known(hashed) or not hashed.startswith("$2b")
    ]
    # bcrypt below 4 rounds, which is the unit of what can be made up.
    assert max(costs) - min(costs) < 2**4 * SECONDS_OF_ONE_ROUND + 1e-9
    assert max(costs) >= 2**rounds * SECONDS_OF_ONE_ROUND - 1e-9
    if ForeignHash.PBKDF2 in enabled:
        assert min(costs) > 1.2


def test_where_no_kind_is_enabled_nothing_takes_longer(seconds: list[float]) -> None:
    hasher = PasswordHasher(AuthenticationSettings(bcrypt_rounds=10))
    for hashed in (None, DJANGO_ARGON2, DJANGO_PBKDF2):
        spent = cost(hasher, "wrong", hashed, seconds)
        assert spent == pytest.approx(2**10 * SECONDS_OF_ONE_ROUND)


def test_threads_wait_for_memory_that_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hashes of 256 MiB at a time, however many threads there are."""
    hashes = ForeignHashes([ForeignHash.ARGON2])
    running, release = threading.Semaphore(0), threading.Event()

    def compute(_kind: Any, _password: bytes, **_: Any) -> bytes:
        running.release()
        release.wait(30)
        return b""

    monkeypatch.setattr(foreign, "_compute_argon2", compute)
    largest = argon2(m=256 * 1024)
    threads = [threading.Thread(target=hashes.check, args=("", largest)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert running.acquire(timeout=30)
    assert running.acquire(timeout=30)
    assert not running.acquire(timeout=0.2)
    release.set()
    assert running.acquire(timeout=30)
    for thread in threads:
        thread.join(30)
