"""Brings e-mail addresses to one form, so that an address is one account in whichever spelling."""

import re
import unicodedata

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


def normalise_identifier(identifier: str) -> str:
    """One form for all spellings of an address or a username that would find the same account."""
    try:
        return normalise_email(identifier)
    except InvalidField:
        return identifier.lower()


def _has_invisible(text: str) -> bool:
    if _IGNORABLE.search(text):
        return True
    return any(unicodedata.category(character) in _INVISIBLE for character in text)


def _invalid() -> InvalidField:
    return InvalidField("email", "This is not an e-mail address that we can use.")
