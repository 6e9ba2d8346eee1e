"""Generates `.env.example` and docs/reference/settings.md from the settings classes."""

import ast
import inspect
import textwrap
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple, get_args, get_type_hints

from pydantic.fields import FieldInfo

from api.settings import Settings
from database.settings import PREFIX, LayerSettings
from harness.server import REPOSITORY

ENV_EXAMPLE = REPOSITORY / ".env.example"
REFERENCE = REPOSITORY / "docs" / "reference" / "settings.md"

_ENV_HEAD = """\
# Every setting with its default. Copy this file to `.env`, and remove the # from lines you change.
# `chmod 600 .env` keeps the password of the database from other users.
# Environment variables take precedence over `.env`. Generated from the settings classes: see
# CONTRIBUTING.md.
"""
_REFERENCE_HEAD = """\
# Settings

Settings are environment variables, or lines of a file `.env` in the working directory; environment
variables take precedence. If a name or a value is invalid, the service does not start, and names it
in one line.

Each setting can also be the path of a file that holds its value, by the same name with `_FILE`
(`DATABASE_URL_FILE=/run/secrets/database_url`). The end of the last line is not part of the value.

[.env.example](../../.env.example) is a file to copy from, with all settings.

This page is generated from the settings classes: see [CONTRIBUTING.md](../../CONTRIBUTING.md).
"""


class Setting(NamedTuple):
    """One row of the reference."""

    name: str
    default: str
    allowed: str
    explanation: str


def read(layer: type[LayerSettings]) -> list[Setting]:
    """The settings of one layer, in the order of the class."""
    explanations = _docstrings(layer)
    return [
        Setting(_variable(name), _default(field, layer), _allowed(field), explanations[name])
        for name, field in layer.model_fields.items()
    ]


def layers() -> dict[str, type[LayerSettings]]:
    """The settings class of each layer, by the name of the layer."""
    return get_type_hints(Settings)


def env_example() -> str:
    """The text of `.env.example`."""
    text = _ENV_HEAD
    for name, layer in layers().items():
        text += f"\n# --- {_title(name)}\n"
        for setting in read(layer):
            text += f"\n# {setting.explanation}\n# {setting.name}={setting.default}\n"
    return text


def reference() -> str:
    """The text of docs/reference/settings.md."""
    text = _REFERENCE_HEAD
    for name, layer in layers().items():
        text += f"\n## {_title(name)}\n\n| variable | default | allowed | meaning |\n"
        text += "|---|---|---|---|\n"
        for setting in read(layer):
            default = f"`{setting.default}`" if setting.default else ""
            text += (
                f"| `{setting.name}` | {default} | {setting.allowed} | {setting.explanation} |\n"
            )
    return text


def _docstrings(layer: type[LayerSettings]) -> dict[str, str]:
    """The docstring below each field, in one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(layer))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _variable(name: str) -> str:
    # Hosting platforms set this variable, without the prefix.
    return "DATABASE_URL" if name == "database_url" else f"{PREFIX}{name.upper()}"


def _default(field: FieldInfo, layer: type[LayerSettings]) -> str:
    """The default as it is written in `.env`. Empty if it depends on the machine."""
    if field.default_factory_takes_validated_data:
        others = {name: other.default for name, other in layer.model_fields.items()}
        return _write(field.get_default(call_default_factory=True, validated_data=others))
    return "" if field.default_factory is not None else _write(field.default)


def _write(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(map(str, value))
    return str(value)


def _allowed(field: FieldInfo) -> str:
    choices = [f"`{_write(value)}`" for kind in _types(field) for value in _members(kind)]
    bounds = [
        f"{word} {getattr(rule, name):,}"
        for rule in field.metadata
        for name, word in {"ge": "from", "gt": "over", "le": "up to"}.items()
        if hasattr(rule, name)
    ]
    nothing = ["`none`"] if type(None) in _types(field) else []
    return ", ".join([*choices, *filter(None, [" ".join(bounds)]), *nothing])


def _types(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) or (field.annotation,)


def _members(kind: Any) -> list[Any]:
    if kind is bool:
        return [True, False]
    return list(kind) if isinstance(kind, type) and issubclass(kind, Enum) else []


def _title(layer: str) -> str:
    return {"api": "HTTP"}.get(layer, layer.capitalize())
