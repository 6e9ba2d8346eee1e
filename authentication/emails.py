"""Brings e-mail addresses and login names to one form, whatever their spelling."""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from authentication.errors import InvalidField
from database import limits, text


@dataclass(frozen=True, slots=True)
class LoginName:
    """What a client sends to say who logs in: an e-mail address or a username, in any spelling.

    `typed` is without the white space around it. An account that was inserted by SQL may have an
    address that is not normalised, or that cannot be registered.
    """

    typed: str
    normalised: str

    @classmethod
    def parse(cls, raw: str) -> "LoginName":
        """Never fails: what is neither an address nor a username is nobody's name."""
        typed = raw.strip()
        try:
            return cls(typed, normalise_email(typed))
        except InvalidField:
            return cls(typed, unicodedata.normalize("NFC", typed.lower()))

    def spellings(self) -> dict[str, str]:
        """How else an account may have it that was moved with it. None in plain ASCII.

        By the names that they have in the outbox.
        """
        if self.typed.isascii() and self.normalised.isascii():
            return {}
        return {"typed": self.typed, "decomposed": text.decompose(self.normalised)}

    def forms(self) -> set[str]:
        """All spellings under which an account may have it."""
        return {self.normalised, *self.spellings().values()}


def normalise_stored(email: str) -> str:
    """The normalised form of an address of an account: all its spellings have the same."""
    return LoginName.parse(email).normalised


def parse_address(raw: str) -> LoginName:
    """An address in its forms, also one that nobody can register today.

    An account may have been moved with it. Raises InvalidField.
    """
    name = LoginName.parse(raw)
    if len(name.typed) > limits.MAX_EMAIL_LENGTH or text.has_invisible(name.typed):
        raise _invalid()
    if to_deliverable(name.typed) is None:
        raise _invalid()
    return name


def to_deliverable(address: str) -> str | None:
    """The address as a mail server takes it, with a domain in ASCII, or None if it is none.

    The domain may be one that only the mail server knows, such as `company.local`. The validator
    rejects these by their names, which is no rule for what is below a common domain.
    """
    for suffix in ("", ".example.com"):
        with suppress(EmailNotValidError, UnicodeError):
            checked = validate_email(
                address + suffix, check_deliverability=False, allow_quoted_local=True
            )
            return f"{checked.local_part}@{(checked.ascii_domain or '').removesuffix(suffix)}"
    return None


def normalise_email(address: str) -> str:
    """The form in which an address is stored and compared, without white space around it.

    Raises InvalidField. What the validator says is not passed on: it quotes the input.
    """
    address = address.strip()
    if len(address) > limits.MAX_EMAIL_LENGTH or text.has_invisible(address):
        raise _invalid()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).lower())
    try:
        return validate_email(folded, check_deliverability=False).normalized.lower()
    except (EmailNotValidError, UnicodeError):
        raise _invalid() from None


def _invalid() -> InvalidField:
    return InvalidField("email", "This is not an e-mail address that we can use.")
