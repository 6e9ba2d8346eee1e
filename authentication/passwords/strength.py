"""Says which new passwords are too weak, and why.

A minimum length and a blocklist, and no rules of composition (NIST SP 800-63B-4, 3.1.1.2).
"""

from functools import cache
from typing import Protocol

from authentication.errors import WeakPassword
from authentication.passwords.hasher import normalise
from authentication.settings import AuthenticationSettings
from database.limits import MAX_PASSWORD_LENGTH

_SERVICE_WORDS = ("counterfoil",)


class Person(Protocol):
    """An account, there already or about to be made."""

    @property
    def username(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def surname(self) -> str | None: ...


def words_about(person: Person, email: str) -> tuple[str | None, ...]:
    """What others know of a user, and will try first."""
    full_name = f"{person.name} {person.surname}" if person.surname else None
    return (
        email,
        email.partition("@")[0],
        person.username,
        person.name,
        person.surname,
        full_name,
    )


def reject_weak(
    password: str,
    *,
    settings: AuthenticationSettings,
    words: tuple[str | None, ...] = (),
    field: str = "password",
) -> None:
    """Raises WeakPassword with the reason. `words` are as `words_about` has them."""
    reason = _wrong_length(password, settings.password_min_length)
    if reason is None:
        reason = _too_common(normalise(password).casefold(), words)
    if reason is not None:
        raise WeakPassword(reason, field=field)


def _wrong_length(password: str, min_length: int) -> str | None:
    # One that is too long as it was sent is not even normalised: that could take a second.
    lengths = [len(password)]
    if len(password) <= MAX_PASSWORD_LENGTH:
        # A single character may stand for many, and many may make one.
        lengths.append(len(normalise(password)))
    if max(lengths) > MAX_PASSWORD_LENGTH:
        return f"Use at most {MAX_PASSWORD_LENGTH:,} characters."
    if min(lengths) < min_length:
        return f"Use at least {min_length} characters."
    return None


def _too_common(folded: str, words: tuple[str | None, ...]) -> str | None:
    spellings = {folded, _repeated_unit(folded)}
    if spellings & {word.casefold() for word in (*_SERVICE_WORDS, *words) if word}:
        return "Do not use your name, your address or the name of this service."
    if spellings & _common_passwords() or min(map(len, spellings)) <= 2:
        return "This password is among the most common ones. Choose another."
    return None


def _repeated_unit(text: str) -> str:
    """The shortest piece that makes up the text by repetition: "abc" for "abcabc"."""
    return text[: (text + text).index(text, 1)]


@cache
def _common_passwords() -> frozenset[str]:
    # Imported when first needed: the lists take a noticeable part of the time to start.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
