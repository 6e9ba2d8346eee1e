"""What all bodies and parameters have in common."""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Schema(BaseModel):
    """The docstring below a field is its description in OpenAPI, unless it has another."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The JSON Schema of the model, made when it is first asked for.

        By pydantic's `use_attribute_docstrings` the sources would be read at each start, which
        takes a tenth of it.
        """
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, docstring in _docstrings(cls).items():
            if docstring and name in properties:
                properties[name].setdefault("description", docstring)
        return schema


class Parameters(Schema):
    """Parameters of a query: FastAPI describes them one by one, by what pydantic has read."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _docstrings(model: type[Schema]) -> dict[str, str | None]:
    """The docstring of each field in the last class that declares it."""
    found: dict[str, str | None] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Schema):
            found |= _docstrings_by_class(base.__module__).get(base.__name__, {})
    return found


@cache
def _docstrings_by_class(module: str) -> dict[str, dict[str, str | None]]:
    try:
        source = inspect.getsource(sys.modules[module])
    except OSError:
        # Installed without sources.
        return {}
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return {node.name: dict(_docstrings_by_field(node)) for node in classes}


def _docstrings_by_field(node: ast.ClassDef) -> Iterator[tuple[str, str | None]]:
    for statement, below in pairwise([*node.body, ast.Pass()]):
        match statement, below:
            case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                yield name, inspect.cleandoc(text)
            case ast.AnnAssign(ast.Name(name)), _:
                yield name, None
