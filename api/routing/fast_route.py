"""Routes that are declared and described like all others, but called without FastAPI's overhead.

FastAPI solves the dependencies of an endpoint and opens two exit stacks to clean up after them,
which takes longer than looking up a token. A fast route is for requests that are very frequent:

    router = APIRouter(route_class=FastRoute)

    @router.get("/balance", response_model=Balance)
    async def read_balance(identity: CurrentIdentity) -> Response: ...
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_args

from fastapi import Request, Response
from fastapi.params import Depends

# Private, but the only way to see what `include_router(..., dependencies=...)` adds to a route.
from fastapi.routing import APIRoute, _effective_route_context_var
from starlette.types import Receive, Scope, Send

from counterfoil.fastapi import IdentityDependency, OptionalIdentityDependency


class FastRoute(APIRoute):
    """Its endpoint takes the caller's identity or the request, and returns a response.

    Raises TypeError for any other endpoint, and for further dependencies: they would not be called,
    so that a check would be skipped silently.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        respond = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await respond(Request(scope, receive, send))
            await response(scope, receive, send)

        # Without the exit stacks, unless the route is part of a router that is included.
        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's hook for what is called for a request."""
        if (_effective_route_context_var.get() or self).dependencies:
            raise TypeError("A fast route has no dependencies but its endpoint's.")
        endpoint = self.endpoint
        name, resolve = _read_parameter(endpoint)
        if resolve is None:
            return endpoint

        async def respond(request: Request) -> Response:
            response: Response = await endpoint(**{name: await resolve(request)})
            return response

        return respond


def _read_parameter(
    endpoint: Callable[..., Any],
) -> tuple[str, Callable[[Request], Awaitable[Any]] | None]:
    """The name of the only parameter, and what resolves the identity if it is not the request."""
    parameters = inspect.signature(endpoint, eval_str=True).parameters
    if len(parameters) == 1 and inspect.iscoroutinefunction(endpoint):
        ((name, parameter),) = parameters.items()
        if parameter.annotation is Request:
            return name, None
        for part in get_args(parameter.annotation):
            resolve = part.dependency if isinstance(part, Depends) else None
            if isinstance(resolve, IdentityDependency | OptionalIdentityDependency):
                return name, resolve
    raise TypeError("The endpoint of a fast route takes the caller's identity or the request.")
