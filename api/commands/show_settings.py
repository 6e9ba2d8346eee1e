"""The command that shows which settings are in effect, without secrets."""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from api.commands import output, support
from api.settings import load
from database.settings import (
    PREFIX,
    WRONG_SETTINGS_STATUS,
    DatabaseSettings,
    InvalidSettings,
    LayerSettings,
)

_HIDDEN = "(hidden)"
# A setting that is added later and holds a secret is more likely to be named like one than typed.
_SECRET_NAME = re.compile(r"(^|_)(password|secret|token|private_key|key)$")


def show_settings(
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """Show the settings in effect: name, value, whether it is set or the default. No secrets.

    Does not connect to the database.
    """
    try:
        layers = load()
    except InvalidSettings as error:
        support.fail(str(error), status=WRONG_SETTINGS_STATUS)
    rows = sorted(row for layer in layers for row in _rows(layer))
    columns = ("name", "value", "origin")
    output.show_list(columns, rows, limit=len(rows), as_json=as_json, headers=headers)


def _rows(layer: LayerSettings) -> Iterator[tuple[str, str, str]]:
    for field in type(layer).model_fields:
        origin = "set" if field in layer.model_fields_set else "default"
        yield PREFIX + field.upper(), _shown(layer, field), origin


def _shown(layer: LayerSettings, field: str) -> str:
    value = getattr(layer, field)
    if isinstance(layer, DatabaseSettings) and field == "database_url":
        return layer.address
    if isinstance(value, SecretStr):
        return _HIDDEN
    text = _plain(value)
    if isinstance(value, str) and value and (_SECRET_NAME.search(field) or _has_password(value)):
        return _HIDDEN
    return text


def _plain(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case Enum():
            return str(value.value)
        case tuple() | list():
            return ",".join(map(_plain, value))
    return str(value)


def _has_password(text: str) -> bool:
    try:
        return urlsplit(text).password is not None
    except ValueError:
        return True
