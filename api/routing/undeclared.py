"""Rejects what a route that changes data does not declare, and would ignore or misread.

A parameter in the query string may be misspelt: `DELETE /sessions?keep_curent=true` would revoke
the current session as well, and so would one that says `keep_current` in a body. A compressed body
would be read as it is.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Scope

from api.request import media_types
from authentication.errors import InvalidField

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def checker(routes: Iterable[BaseRoute]) -> Callable[[Scope, BaseRoute], None]:
    """A function that is called before one of the routes.

    It raises RequestValidationError for a parameter that is unknown or repeated, InvalidField for a
    body that the route does not take, and HTTPException for one that is compressed.
    """
    # By method and identity, because Starlette's routes cannot be hashed.
    checked = {
        (method, id(route)): route
        for route in routes
        if isinstance(route, APIRoute)
        for method in _CHANGING & (route.methods or set())
    }

    def check(scope: Scope, route: BaseRoute) -> None:
        found = checked.get((scope["method"], id(route)))
        if found is None:
            return
        if found.body_field is None:
            _reject_body(scope["headers"])
        elif media_types.is_encoded(scope["headers"]):
            raise media_types.unsupported()
        if scope["query_string"]:
            _check_parameters(scope["query_string"], _parameters(found))

    return check


def _parameters(route: APIRoute) -> set[str]:
    """Those of the query string."""
    fields = get_flat_params(route.dependant)
    return {field.alias for field in fields if isinstance(field.field_info, params.Query)}


def _reject_body(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises InvalidField for a body by which the client may have asked for something.

    Some clients send `{}` or `null` with every request; in so few bytes no field can be named.
    """
    if media_types.announced_length(headers) > len("null"):
        raise InvalidField("body", "This request takes no body.")


def _check_parameters(query: bytes, known: set[str]) -> None:
    names = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    unknown = sorted(names.keys() - known)
    repeated = sorted(name for name in known if names[name] > 1)
    if unknown or repeated:
        raise RequestValidationError(
            [_error(name, "extra_forbidden", "Unknown parameter") for name in unknown]
            + [_error(name, "repeated", "Repeated parameter") for name in repeated]
        )


def _error(name: str, kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "loc": ("query", name), "msg": message}
