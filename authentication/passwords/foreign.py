"""Checks password hashes that other systems have made, in the spellings of those systems.

Django, werkzeug, pwdlib, argon2-cffi and passlib write the parameters of a hash into its text. They
are bounded here: nobody but an administrator imports hashes, but a hash that takes minutes or
gigabytes would stop all logins.
"""

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from hmac import compare_digest
from typing import NamedTuple

import bcrypt
from argon2.low_level import Type, core, ffi

from authentication.settings import MAX_BCRYPT_ROUNDS, ForeignHash

# What the systems use by default today: Django 6.0 and 5.2, and pwdlib. A check of any password
# takes as long as the costliest of those that are enabled.
_USUAL_ITERATIONS = 1_200_000
_USUAL_ARGON2_BLOCKS = 102_400 * 2
_USUAL_SCRYPT_BLOCKS = 2**14 * 8 * 5
_USUAL_BCRYPT_ROUNDS = 12
# How many times the usual cost a hash may have. One that costs more matches nothing.
_MOST_TIMES = 4

_MOST_KIB = 256 * 1024
_MOST_LANES = 64
_MEMORY_KIB = 2 * _MOST_KIB

_ARGON2_TYPES = {"id": Type.ID, "i": Type.I, "d": Type.D}
_ARGON2_FIRST_VERSION = 0x10


class Check(NamedTuple):
    """Whether a password is right, and the seconds of processor time that it took to say so."""

    is_right: bool
    seconds: float


class Computation(NamedTuple):
    """Computes what a hash consists of, from a password. `kib` is the memory that it takes."""

    expected: bytes
    compute: Callable[[bytes], bytes]
    kib: int = 0


class ForeignHashes:
    """Checks hashes of the kinds that are enabled.

    All threads together take a bounded amount of memory: past it they wait for each other.
    """

    def __init__(self, enabled: Collection[ForeignHash]) -> None:
        self._enabled = frozenset(enabled)
        self._memory = _Memory(_MEMORY_KIB)

    def identify(self, hashed: str) -> bool:
        """Whether this is a hash of an enabled kind, and not too costly."""
        try:
            return self._parse(hashed) is not None
        except ValueError:
            return False

    def check(self, password: str, hashed: str) -> Check:
        """Whether this is the password of the hash. False for what is no hash of these kinds.

        Raises ValueError for a password that cannot be encoded.
        """
        found = self._parse(hashed)
        if found is None:
            return Check(False, 0.0)
        with self._memory.hold(found.kib):
            began = time.thread_time()
            computed = found.compute(password.encode())
            return Check(compare_digest(computed, found.expected), time.thread_time() - began)

    @cached_property
    def usual_seconds(self) -> float:
        """The processor time of the costliest check that is usual, measured once."""
        return max((_MEASURED[kind]() for kind in self._enabled), default=0.0)

    def _parse(self, hashed: str) -> Computation | None:
        """Raises ValueError for parameters that no such hash has, or that cost too much."""
        for kind, pattern, read in _SPELLINGS:
            if kind in self._enabled and (match := pattern.fullmatch(hashed)):
                return read(*match.groups())
        return None


class _Memory:
    """Lets threads have memory, up to a limit. One that asks for more than is left waits."""

    def __init__(self, kib: int) -> None:
        self._left = kib
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, kib: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: kib <= self._left)
            self._left -= kib
        try:
            yield
        finally:
            with self._changed:
                self._left += kib
                self._changed.notify_all()


def seconds_of(work: Callable[[], object]) -> float:
    """The processor time that work takes in this thread."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _argon2(
    kind: str, version: str | None, kib: str, passes: str, lanes: str, salt: str, digest: str
) -> Computation:
    blocks = _bounded(kib, _MOST_KIB) * int(passes)
    if blocks > _MOST_TIMES * _USUAL_ARGON2_BLOCKS:
        raise ValueError("too many passes")
    expected = _from_base64(digest)
    compute = partial(
        _compute_argon2,
        _ARGON2_TYPES[kind],
        version=int(version) if version else _ARGON2_FIRST_VERSION,
        kib=int(kib),
        passes=int(passes),
        lanes=_bounded(lanes, _MOST_LANES),
        salt=_from_base64(salt),
        length=len(expected),
    )
    return Computation(expected, compute, int(kib))


def _compute_argon2(
    kind: Type,
    password: bytes,
    *,
    version: int,
    kib: int,
    passes: int,
    lanes: int,
    salt: bytes,
    length: int,
) -> bytes:
    """In one thread, whatever the lanes: others could not be measured, and would take processors
    that are left to checks of tokens.
    """
    # The context refers to these without keeping them alive.
    digest = ffi.new("uint8_t[]", length)
    kept_password, kept_salt = ffi.new("uint8_t[]", password), ffi.new("uint8_t[]", salt)
    context = ffi.new(
        "argon2_context *",
        {
            "version": version,
            "out": digest,
            "outlen": length,
            "pwd": kept_password,
            "pwdlen": len(password),
            "salt": kept_salt,
            "saltlen": len(salt),
            "t_cost": passes,
            "m_cost": kib,
            "lanes": lanes,
            "threads": 1,
        },
    )
    if core(context, kind.value):
        raise ValueError("no parameters of Argon2")
    return bytes(ffi.buffer(digest))


def _django_pbkdf2(iterations: str, salt: str, digest: str) -> Computation:
    return _pbkdf2(iterations, salt.encode(), _from_base64(digest))


def _werkzeug_pbkdf2(iterations: str, salt: str, digest: str) -> Computation:
    return _pbkdf2(iterations, salt.encode(), bytes.fromhex(digest))


def _passlib_pbkdf2(iterations: str, salt: str, digest: str) -> Computation:
    return _pbkdf2(iterations, _from_base64(salt), _from_base64(digest))


def _pbkdf2(iterations: str, salt: bytes, expected: bytes) -> Computation:
    rounds = _bounded(iterations, _MOST_TIMES * _USUAL_ITERATIONS)

    def compute(password: bytes) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", password, salt, rounds, dklen=len(expected))

    return Computation(expected, compute)


def _django_scrypt(n: str, salt: str, r: str, p: str, digest: str) -> Computation:
    return _scrypt(int(n), int(r), int(p), salt.encode(), _from_base64(digest))


def _werkzeug_scrypt(n: str, r: str, p: str, salt: str, digest: str) -> Computation:
    return _scrypt(int(n), int(r), int(p), salt.encode(), bytes.fromhex(digest))


def _passlib_scrypt(log_n: str, r: str, p: str, salt: str, digest: str) -> Computation:
    return _scrypt(1 << int(log_n), int(r), int(p), _from_base64(salt), _from_base64(digest))


def _scrypt(n: int, r: int, p: int, salt: bytes, expected: bytes) -> Computation:
    if n * r * p > _MOST_TIMES * _USUAL_SCRYPT_BLOCKS:
        raise ValueError("too many blocks")
    needed = 128 * r * (n + p + 2)

    def compute(password: bytes) -> bytes:
        length = len(expected)
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=2 * needed, dklen=length)

    return Computation(expected, compute, needed // 1024)


def _django_bcrypt(hashed: str) -> Computation:
    return _bcrypt(hashed, bytes)


def _django_bcrypt_sha256(hashed: str) -> Computation:
    return _bcrypt(hashed, lambda password: hashlib.sha256(password).hexdigest().encode())


def _bcrypt(hashed: str, prepare: Callable[[bytes], bytes]) -> Computation:
    _bounded(hashed.split("$")[2], MAX_BCRYPT_ROUNDS)
    expected = hashed.encode()
    return Computation(expected, lambda password: bcrypt.hashpw(prepare(password), expected))


def _bounded(number: str, most: int) -> int:
    value = int(number)
    if not 1 <= value <= most:
        raise ValueError("out of bounds")
    return value


def _from_base64(text: str) -> bytes:
    """Of any spelling: with or without padding, and passlib's, which has a dot in place of +."""
    padded = text.replace(".", "+").rstrip("=")
    return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)


_BASE64 = r"([A-Za-z0-9+/=]+)"
_AB64 = r"([A-Za-z0-9./]+)"
_HEX = r"([0-9a-f]+)"
_SALT = r"([^$]+)"
# Short enough for every number to be computed with.
_INT = r"([0-9]{1,9})"
_BCRYPT = r"(\$2[aby]\$[0-9]{2}\$[A-Za-z0-9./]{53})"

_SPELLINGS: list[tuple[ForeignHash, re.Pattern[str], Callable[..., Computation]]] = [
    (kind, re.compile(pattern, re.ASCII), read)
    for kind, pattern, read in (
        (
            ForeignHash.ARGON2,
            rf"(?:argon2)?\$argon2(id|i|d)\$(?:v=(16|19)\$)?m={_INT},t={_INT},p={_INT}"
            rf"\${_BASE64}\${_BASE64}",
            _argon2,
        ),
        (ForeignHash.PBKDF2, rf"pbkdf2_sha256\${_INT}\${_SALT}\${_BASE64}", _django_pbkdf2),
        (ForeignHash.PBKDF2, rf"pbkdf2:sha256:{_INT}\${_SALT}\${_HEX}", _werkzeug_pbkdf2),
        (ForeignHash.PBKDF2, rf"\$pbkdf2-sha256\${_INT}\${_AB64}\${_AB64}", _passlib_pbkdf2),
        (
            ForeignHash.SCRYPT,
            rf"scrypt\${_INT}\${_SALT}\${_INT}\${_INT}\${_BASE64}",
            _django_scrypt,
        ),
        (ForeignHash.SCRYPT, rf"scrypt:{_INT}:{_INT}:{_INT}\${_SALT}\${_HEX}", _werkzeug_scrypt),
        (
            ForeignHash.SCRYPT,
            rf"\$scrypt\$ln=([0-9]{{1,2}}),r={_INT},p={_INT}\${_BASE64}\${_BASE64}",
            _passlib_scrypt,
        ),
        (ForeignHash.DJANGO_BCRYPT, rf"bcrypt\${_BCRYPT}", _django_bcrypt),
        (ForeignHash.DJANGO_BCRYPT, rf"bcrypt_sha256\${_BCRYPT}", _django_bcrypt_sha256),
    )
]


def _measure_argon2() -> float:
    usual = _argon2("id", "19", "102400", "2", "1", "A" * 22, "A" * 43)
    return seconds_of(partial(usual.compute, b""))


def _measure_pbkdf2() -> float:
    # The cost is linear, so a part of it will do.
    part = _pbkdf2(str(_USUAL_ITERATIONS // 20), b"salt", bytes(32))
    return 20 * seconds_of(partial(part.compute, b""))


def _measure_scrypt() -> float:
    part = _scrypt(2**14, 8, 1, b"salt", bytes(64))
    return 5 * seconds_of(partial(part.compute, b""))


def _measure_bcrypt() -> float:
    salt = b"$2b$08$" + b"." * 22
    return seconds_of(partial(bcrypt.hashpw, b"", salt)) * (1 << _USUAL_BCRYPT_ROUNDS - 8)


_MEASURED = {
    ForeignHash.ARGON2: _measure_argon2,
    ForeignHash.PBKDF2: _measure_pbkdf2,
    ForeignHash.SCRYPT: _measure_scrypt,
    ForeignHash.DJANGO_BCRYPT: _measure_bcrypt,
}
