"""Types of text fields. What either database would reject is rejected here."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from counterfoil import tokens
from database import limits

# Unicode's category Cc, all of it.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def has_control_characters(text: str) -> bool:
    """Whether it contains NUL, which PostgreSQL cannot store, a line break or the like.

    What else a new name or label must not contain is in authentication/labels.py, as a search or a
    refresh may name one that is stored already.
    """
    return _CONTROL.search(text) is not None


def _reject_control_characters(text: str) -> str:
    # Pydantic itself rejects lone surrogates.
    if has_control_characters(text):
        raise ValueError("must not contain control characters")
    return text


Printable = AfterValidator(_reject_control_characters)


def _strip(secret: object) -> object:
    return tokens.strip(secret) if isinstance(secret, str) else secret


# For secrets that people copy: white space that came along is removed, as in headers and forms.
Pasted = BeforeValidator(_strip)

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.MAX_LABEL_LENGTH, strip_whitespace=True),
    Printable,
]
ShortText = Annotated[
    str, StringConstraints(max_length=limits.MAX_LABEL_LENGTH, strip_whitespace=True), Printable
]
LongText = Annotated[
    str, StringConstraints(max_length=limits.MAX_TEXT_LENGTH, strip_whitespace=True), Printable
]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=limits.MAX_EMAIL_LENGTH, strip_whitespace=True),
    Printable,
    # Only described here: the rule is in authentication/emails.py.
    Field(json_schema_extra={"format": "email"}),
]
Username = Annotated[
    ShortText,
    # Only described here: the rule is in authentication/accounts/users.py.
    Field(
        json_schema_extra={
            "pattern": f"^{limits.USERNAME_PATTERN}$",
            "maxLength": limits.MAX_USERNAME_LENGTH,
        }
    ),
]
Identifier = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=limits.MAX_STORED_EMAIL_LENGTH, strip_whitespace=True
    ),
    Printable,
]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.MAX_PASSWORD_LENGTH),
    Field(json_schema_extra={"format": "password"}),
]
Scope = Annotated[str, StringConstraints(max_length=limits.MAX_TEXT_LENGTH), Printable]


def _split(scopes: object) -> object:
    return list(filter(None, scopes.split(" "))) if isinstance(scopes, str) else scopes


# Stored as OAuth writes them, divided by spaces, and shown as a list.
Scopes = Annotated[list[str], BeforeValidator(_split)]
