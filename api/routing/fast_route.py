"""Routes that are declared and described like all others, and called without FastAPI's machinery.

Looking up a token costs less than what FastAPI does around it: solving the dependencies of the
endpoint, and two exit stacks to clean up after them. A fast route is for what is called all the
time:

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
    """Its endpoint takes the caller's identity or the request, and returns the response itself.

    Raises TypeError for any other endpoint and for dependencies beside it, which would not be
    solved: what a route demands is never skipped unnoticed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        respond = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await respond(Request(scope, receive, send))
            await response(scope, receive, send)

        # Without the exit stacks. A router that is included brings FastAPI's own.
        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What is called for a request, instead of FastAPI's own."""
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
