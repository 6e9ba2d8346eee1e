"""Kinds of text that every field is made of: what either database would refuse is refused here."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints


def _refuse_nul(text: str) -> str:
    # PostgreSQL cannot store it, SQLite can; lone surrogates pydantic refuses by itself.
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


Storable = AfterValidator(_refuse_nul)

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Storable
]
ShortText = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), Storable]
LongText = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True), Storable]
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
