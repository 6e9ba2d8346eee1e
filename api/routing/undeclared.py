"""Rejects what a route that changes data does not declare, and would ignore or misread.

A parameter in the query string may be misspelt: `DELETE /sessions?keep_curent=true` would revoke
the current session as well. A compressed body would be read as it is.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl

from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Scope

from api.request import media_types

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class _Declared(NamedTuple):
    parameters: frozenset[str]
    has_body: bool


def checker(routes: Iterable[BaseRoute]) -> Callable[[Scope, BaseRoute], None]:
    """A function that is called before one of the routes.

    It raises RequestValidationError for an unknown parameter, and HTTPException for a body that is
    compressed.
    """
    # By method and identity, because Starlette's routes cannot be hashed.
    declared = {
        (method, id(route)): _read(route)
        for route in routes
        if isinstance(route, APIRoute)
        for method in _CHANGING & (route.methods or set())
    }

    def check(scope: Scope, route: BaseRoute) -> None:
        found = declared.get((scope["method"], id(route)))
        if found is None:
            return
        if found.has_body and media_types.is_encoded(scope["headers"]):
            raise media_types.unsupported()
        if scope["query_string"]:
            _check_parameters(scope["query_string"], found.parameters)

    return check


def _read(route: APIRoute) -> _Declared:
    parameters = frozenset(field.alias for field in get_flat_params(route.dependant))
    return _Declared(parameters, route.body_field is not None)


def _check_parameters(query: bytes, known: frozenset[str]) -> None:
    names = {name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    if unknown := sorted(names - known):
        raise RequestValidationError(
            [
                {"type": "extra_forbidden", "loc": ("query", name), "msg": "Unknown parameter"}
                for name in unknown
            ]
        )
