"""Brings e-mail addresses and login names to one form, whatever their spelling."""

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from authentication.errors import InvalidField
from database import limits

# Characters that do not show: controls, zero-width and direction marks, surrogates, unassigned.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
# And those that count as letters or marks but do not show either: fillers, joiners and variation
# selectors (Unicode's Default_Ignorable_Code_Point).
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True, slots=True)
class LoginName:
    """What a client sends to say who logs in: an e-mail address or a username, in any spelling."""

    raw: str
    normalised: str
    is_email: bool

    @classmethod
    def parse(cls, raw: str) -> "LoginName":
        """Never fails: what is neither an address nor a username is nobody's name."""
        try:
            return cls(raw, normalise_email(raw), is_email=True)
        except InvalidField:
            return cls(raw, raw.lower(), is_email=False)


def normalise_email(address: str) -> str:
    """The form in which an address is stored and compared.

    Raises InvalidField. What the validator says is not passed on: it quotes the input.
    """
    if len(address) > limits.MAX_EMAIL_LENGTH or _has_invisible(address):
        raise _invalid()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).lower())
    try:
        return validate_email(folded, check_deliverability=False).normalized.lower()
    except (EmailNotValidError, UnicodeError):
        raise _invalid() from None


def _has_invisible(text: str) -> bool:
    if _IGNORABLE.search(text):
        return True
    return any(unicodedata.category(character) in _INVISIBLE for character in text)


def _invalid() -> InvalidField:
    return InvalidField("email", "This is not an e-mail address that we can use.")
