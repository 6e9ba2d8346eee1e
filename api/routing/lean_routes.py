"""Routes that are declared and described like all others, and called without FastAPI's machinery.

Looking up a token costs less than what FastAPI does around it: finding out what the endpoint asks
for, and stacks of things to clean up behind it. A lean route is for what is called all the time:

    router = APIRouter(route_class=LeanRoute)

    @router.get("/balance", response_model=Balance)
    async def read_balance(identity: CurrentIdentity) -> Response: ...
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_args

from fastapi import Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from counterfoil.fastapi import IdentityDependency, OptionalIdentityDependency


class LeanRoute(APIRoute):
    """Its endpoint asks for the caller's identity and nothing else, and gives the response itself.

    Raises TypeError for any other, so that nothing that is demanded is left out unnoticed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        answer = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await answer(Request(scope, receive, send))
            await response(scope, receive, send)

        # Without the stacks. A router that this route's router is included in brings its own.
        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What is called for a request, instead of FastAPI's own."""
        if self.dependencies:
            raise TypeError("A lean route has no dependencies but its endpoint's.")
        endpoint = self.endpoint
        name, resolve = _identity_parameter(endpoint)

        async def answer(request: Request) -> Response:
            response: Response = await endpoint(**{name: await resolve(request)})
            return response

        return answer


def _identity_parameter(endpoint: Callable[..., Any]) -> tuple[str, Callable[..., Awaitable[Any]]]:
    """Its name, and what resolves it."""
    parameters = inspect.signature(endpoint, eval_str=True).parameters
    if len(parameters) == 1 and inspect.iscoroutinefunction(endpoint):
        ((name, parameter),) = parameters.items()
        for part in get_args(parameter.annotation):
            resolve = part.dependency if isinstance(part, Depends) else None
            if isinstance(resolve, IdentityDependency | OptionalIdentityDependency):
                return name, resolve
    raise TypeError("The endpoint of a lean route is a coroutine of the caller's identity alone.")
