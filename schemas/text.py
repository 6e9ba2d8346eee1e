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
    # Only described here: the rule is in authentication/addresses.py.
    Field(json_schema_extra={"format": "email"}),
]
Username = Annotated[
    ShortText,
    # Only described here: the rule is in authentication/users.py.
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$", "maxLength": 64}),
]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=254), Storable]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Scope = Annotated[str, StringConstraints(max_length=2000), Storable]
