"""Kinds of text that every field is made of: what either database would refuse is refused here."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints


def _refuse_nul(text: str) -> str:
    # PostgreSQL cannot store it, SQLite can; lone surrogates pydantic refuses by itself.
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


def _refuse_control(text: str) -> str:
    # A line break in a name would forge a line of a log or, behind a proxy, a header.
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must not contain control characters")
    return text


Storable = AfterValidator(_refuse_nul)
Printable = AfterValidator(_refuse_control)

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Printable
]
ShortText = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), Printable]
LongText = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True), Printable]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, strip_whitespace=True),
    Storable,
    Field(json_schema_extra={"format": "email"}),
]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=254), Storable]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    Field(json_schema_extra={"format": "password"}),
]
Scope = Annotated[str, StringConstraints(max_length=2000), Storable]
