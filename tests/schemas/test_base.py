"""Docstrings below fields are descriptions in OpenAPI."""

import inspect

import pytest
from pydantic import Field

from schemas import base
from schemas.base import Schema


class Account(Schema):
    """A model."""

    name: str
    """What others see.

    It need not be unique.
    """

    email: str = Field(description="By Field.")
    """By the docstring."""

    role: str


class Changed(Account):
    """A model that declares two fields of the other again."""

    name: str
    role: str
    """What the user may do."""


def descriptions(model: type[Schema]) -> dict[str, str | None]:
    properties = model.model_json_schema()["properties"]
    return {name: shown.get("description") for name, shown in properties.items()}


def test_a_docstring_describes_the_field_above_it_unless_the_field_describes_itself() -> None:
    assert descriptions(Account) == {
        "name": "What others see.\n\nIt need not be unique.",
        "email": "By Field.",
        "role": None,
    }


def test_a_field_that_is_declared_again_is_described_where_that_is_done() -> None:
    assert descriptions(Changed) == {
        "name": None,
        "email": "By Field.",
        "role": "What the user may do.",
    }


def test_without_sources_fields_are_described_by_field_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(module: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(inspect, "getsource", fail)
    # What is read here must not be remembered for other tests.
    read = base._docstrings_by_class.__wrapped__
    monkeypatch.setattr(base, "_docstrings_by_class", read)
    assert descriptions(Account) == {"name": None, "email": "By Field.", "role": None}
