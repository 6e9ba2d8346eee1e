"""Reads the fields of a form by the schema that the API has for the same, and says what is wrong.

So a page accepts what the API accepts.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.web.forms import Form
from api.web.messages import N_
from api.web.rendering import translate
from authentication.errors import EmailTaken, InvalidField, UsernameTaken
from counterfoil.errors import CounterfoilError
from schemas.base import Schema

S = TypeVar("S", bound=Schema)

_NAMELESS: Mapping[type[CounterfoilError], str] = {EmailTaken: "email", UsernameTaken: "username"}


class FieldError(NamedTuple):
    """The name of a field, and what is wrong with it in the language of the page."""

    field: str
    detail: str


def field_error(request: Request, error: CounterfoilError, *, default: str) -> FieldError:
    """What is wrong with the field that the error is about, or else with the default."""
    field = getattr(error, "field", None) or _NAMELESS.get(type(error), default)
    return FieldError(field, translate(request, error.detail))


def read(schema: type[S], form: Form, *names: str, optional: tuple[str, ...] = ()) -> S:
    """The fields of these names; an optional one that is empty is None. Raises InvalidField."""
    fields: dict[str, str | None] = {name: form.text(name) for name in names}
    fields |= {name: form.text(name).strip() or None for name in optional}
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        raise _explain(error.errors()[0]) from None


def _explain(error: ErrorDetails) -> InvalidField:
    field = str(error["loc"][-1])
    match error["type"]:
        case "string_too_long":
            return InvalidField(field, f"Use at most {error['ctx']['max_length']} characters.")
        case "string_too_short":
            is_empty = not error["input"].strip()
            return InvalidField(
                field, N_("Fill this in.") if is_empty else N_("This is too short.")
            )
    return InvalidField(field, N_("This must not contain control characters."))
