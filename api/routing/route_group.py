"""Keeps our routes together, so that the router steps over all of them at once to reach yours.

A router tries its routes one after another, at a microsecond each. Those of a reader come after
ours, and forty of them would cost as much as looking up the token.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from fastapi import APIRouter
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send


class RouteGroup(BaseRoute):
    """Routes that are tried only for a path that begins with the same segment as one of theirs."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        # As the application itself: a redirect would go to an address made of the Host header.
        self._router = APIRouter(routes=list(routes), redirect_slashes=False)
        # Mounts are no routes to Starlette, but have a path as well.
        paths = (cast("Route", route).path for route in self.routes)
        self._segments = {_first_segment(path) for path in paths}

    @property
    def routes(self) -> list[BaseRoute]:
        return self._router.routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if _first_segment(path) not in self._segments:
            return Match.NONE, {}
        found = Match.NONE
        for route in self.routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                return match, {}
            if match is Match.PARTIAL:
                found = match
        return found, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        return self._router.url_path_for(name, **path_params)


def flatten(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """These and those in groups, in the order in which they are tried."""
    for route in routes:
        if isinstance(route, RouteGroup):
            yield from route.routes
        else:
            yield route


def _first_segment(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]
