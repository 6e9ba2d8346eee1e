"""Brings e-mail addresses to one form, so that an address is one account in whichever spelling."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from authentication.errors import InvalidField

MAX_LENGTH = 254
# Characters that do not show: controls, zero-width and direction marks, surrogates, unassigned.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}


def normalise_email(address: str) -> str:
    """The form in which an address is stored and compared.

    Raises InvalidField. What the validator says is not passed on: it quotes the input.
    """
    if len(address) > MAX_LENGTH or any(unicodedata.category(c) in _INVISIBLE for c in address):
        raise _invalid()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).lower())
    try:
        return validate_email(folded, check_deliverability=False).normalized.lower()
    except (EmailNotValidError, UnicodeError):
        raise _invalid() from None


def _invalid() -> InvalidField:
    return InvalidField("email", "This is not an e-mail address that we can use.")
