"""Has GET routes answer HEAD as well (RFC 9110, 9.3.2), which FastAPI's do not by themselves.

The server leaves out the body.
"""

from collections.abc import Iterable, Iterator
from copy import copy

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute


def answer_head(routes: Iterable[BaseRoute]) -> None:
    """Let these routes answer HEAD wherever they answer GET."""
    for route in routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
            route.methods = {*route.methods, "HEAD"}


def without_head(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """The routes for OpenAPI, which has one operation for each method."""
    for route in routes:
        if isinstance(route, APIRoute) and route.methods:
            described = copy(route)
            described.methods = route.methods - {"HEAD"}
            yield described
        else:
            yield route
