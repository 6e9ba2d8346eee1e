"""Hashes and checks passwords, and says which ones are too weak.

bcrypt takes a quarter of a second of a core, on purpose: authentication/passwords/queue.py says in
which threads, and who waits for them.
"""

import unicodedata
import warnings
from functools import cache
from typing import Protocol

from authentication.errors import WeakPassword
from authentication.settings import AuthenticationSettings
from database import limits

with warnings.catch_warnings():
    # passlib imports the standard library's crypt, which Python 3.13 has dropped.
    warnings.simplefilter("ignore", DeprecationWarning)
    from passlib.context import CryptContext

_CONTEXT_WORDS = ("counterfoil",)

# A hash that no password has been found for, so that checking one costs what it always costs.
# passlib's dummy_verify() makes such a hash first, which takes the time of a login at every start.
_NOBODYS_HASH = f"$bcrypt-sha256$v=2,t=2b,r={{rounds}}${'.' * 22}${'.' * 31}"


class PasswordHasher:
    """bcrypt over SHA-256, which neither cuts a password at 72 bytes nor stumbles over NUL.

    Plain bcrypt hashes, such as an administrator inserts by SQL, are accepted and reported as due
    for an upgrade.
    """

    def __init__(self, settings: AuthenticationSettings) -> None:
        self._context = CryptContext(
            ["bcrypt_sha256", "bcrypt"],
            deprecated="auto",
            bcrypt_sha256__default_rounds=settings.bcrypt_rounds,
            # A hash that cost more, as where the setting differs between two nodes, stays.
            bcrypt_sha256__min_rounds=settings.bcrypt_rounds,
        )
        self._nobodys_hash = _NOBODYS_HASH.format(rounds=settings.bcrypt_rounds)

    def hash(self, password: str) -> str:
        """The hash to store. NFKC first, so that one password typed on two systems is one."""
        hashed: str = self._context.hash(_normalise(password))
        return hashed

    def verify(
        self, password: str, hashed: str | None, *, upgrade: bool = True
    ) -> tuple[bool, str | None]:
        """Whether the password is right, and a better hash to store if there is one.

        Without a hash, as for an unknown user, it takes the time that it would take with one. A
        better hash takes as long again, so that `upgrade` is for those who will be let in.
        """
        # Longer ones were never stored, and to normalise them takes the interpreter too long.
        if hashed is None or len(password) > limits.MAX_PASSWORD_LENGTH:
            return self._refuse()
        try:
            if upgrade:
                return self._context.verify_and_update(_normalise(password), hashed)
            return self._context.verify(_normalise(password), hashed), None
        except ValueError:
            # Plain bcrypt refuses NUL; an administrator may have stored something else altogether.
            return self._refuse()

    def _refuse(self) -> tuple[bool, None]:
        # Whatever was sent: it may be what bcrypt refuses.
        self._context.verify("", self._nobodys_hash)
        return False, None


class Person(Protocol):
    """An account, there already or about to be made."""

    @property
    def username(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def surname(self) -> str | None: ...


def known_of(email: str, person: Person) -> tuple[str | None, ...]:
    """What others know of a person, and will try first."""
    full_name = f"{person.name} {person.surname}" if person.surname else None
    return (
        email,
        email.partition("@")[0],
        person.username,
        person.name,
        person.surname,
        full_name,
    )


def refuse_weak(
    password: str,
    *,
    settings: AuthenticationSettings,
    context: tuple[str | None, ...] = (),
    field: str = "password",
) -> None:
    """Raises WeakPassword with the reason. `context` is what others know of the user.

    A minimum length and a blocklist, and no rules of composition (NIST SP 800-63B-4, 3.1.1.2).
    """
    reason = _unfit_length(password, settings.password_min_length)
    if reason is None:
        reason = _weakness(_normalise(password).casefold(), context)
    if reason is not None:
        raise WeakPassword(reason, field=field)


def _unfit_length(password: str, min_length: int) -> str | None:
    # One that is too long as it was sent is not even normalised: that could take a second.
    lengths = [len(password)]
    if len(password) <= limits.MAX_PASSWORD_LENGTH:
        # A single character may stand for many, and many may make one.
        lengths.append(len(_normalise(password)))
    if max(lengths) > limits.MAX_PASSWORD_LENGTH:
        return f"Use at most {limits.MAX_PASSWORD_LENGTH:,} characters."
    if min(lengths) < min_length:
        return f"Use at least {min_length} characters."
    return None


def _weakness(folded: str, context: tuple[str | None, ...]) -> str | None:
    spellings = {folded, _repeated_unit(folded)}
    if spellings & {word.casefold() for word in (*_CONTEXT_WORDS, *context) if word}:
        return "Do not use your name, your address or the name of this service."
    if spellings & _common_passwords() or min(map(len, spellings)) <= 2:
        return "This password is among the most common ones. Choose another."
    return None


def _normalise(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _repeated_unit(text: str) -> str:
    """The shortest piece that makes up the text by repetition: "abc" for "abcabc"."""
    return text[: (text + text).index(text, 1)]


@cache
def _common_passwords() -> frozenset[str]:
    # Imported when first needed: the lists take a noticeable part of the time to start.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
