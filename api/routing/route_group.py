"""Finds the route for a path in a dictionary.

A router tries its routes one by one, and each takes a microsecond. Routes that an application adds
come after those of the service, which would take as long as looking up the token.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound, Route
from starlette.types import Receive, Scope, Send

from api.request import prefix

# The key in a request's scope of the route that has matched.
_MATCHED = "counterfoil.route"


class RouteGroup(BaseRoute):
    """Routes whose paths each begin with a segment without parameters.

    Paths without parameters are tried first, in whatever order they were declared, and nothing else
    is if there is one: DELETE /sessions/confirm is no DELETE /sessions/{session_id}.
    """

    def __init__(
        self,
        routes: Iterable[BaseRoute],
        check: Callable[[Scope, BaseRoute], None] = lambda _scope, _route: None,
    ) -> None:
        """`check` is called before a route, and may raise."""
        self.routes = list(routes)
        self._check = check
        self._by_path: dict[str, list[Route]] = defaultdict(list)
        self._by_segment: dict[str, list[BaseRoute]] = defaultdict(list)
        for route in self.routes:
            # A mount is not a Route, but has a path as well.
            self._by_segment[_first_segment(cast("Route | Mount", route).path)].append(route)
            if isinstance(route, Route) and not route.param_convertors:
                self._by_path[route.path].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        path = prefix.path_of(scope)
        for route in self._by_path.get(path, ()):
            if not route.methods or scope["method"] in route.methods:
                found = {"endpoint": route.endpoint, "path_params": {}, "route": route}
                return Match.FULL, {**found, _MATCHED: route}
        others: Sequence[BaseRoute] = self._by_path.get(path, ())
        if not others:
            others = self._by_segment.get(_first_segment(path), ())
        return self._try_each(others, scope)

    def _try_each(self, routes: Iterable[BaseRoute], scope: Scope) -> tuple[Match, Scope]:
        other_method: tuple[Match, Scope] = Match.NONE, {}
        for route in routes:
            match, found = route.matches(scope)
            found[_MATCHED] = route
            if match is Match.FULL:
                return match, found
            if match is Match.PARTIAL and other_method[0] is Match.NONE:
                other_method = match, found
        return other_method

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check(scope, scope[_MATCHED])
        await scope[_MATCHED].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        for route in self.routes:
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                continue
        raise NoMatchFound(name, path_params)


def flatten(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """All routes, those in groups included."""
    for route in routes:
        if isinstance(route, RouteGroup):
            yield from route.routes
        else:
            yield route


def _first_segment(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]
