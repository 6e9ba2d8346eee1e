"""Routes that reject a JSON body in which a member is repeated.

Python takes the last of two, and other programs the first (RFC 8259, 4): a proxy that checks a body
would let another value pass than the one that counts here. FastAPI reads bodies by itself, so each
router with JSON bodies names this class:

    router = APIRouter(route_class=JsonRoute)
"""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from api.request import media_types


class JsonRoute(APIRoute):
    """Answers 422 to a repeated member, before FastAPI reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's hook for what is called for a request."""
        respond = super().get_route_handler()
        if self.body_field is None:
            return respond

        async def respond_unless_repeated(request: Request) -> Response:
            if media_types.is_json(request):
                _reject_repeated(await request.body())
            return await respond(request)

        return respond_unless_repeated


def _reject_repeated(body: bytes) -> None:
    """Raises RequestValidationError. What cannot be read is left to FastAPI."""
    with suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=_check)


def _check(pairs: list[tuple[str, Any]]) -> None:
    counts = Counter(name for name, _ in pairs)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise RequestValidationError([_error(name) for name in repeated])


def _error(name: str) -> dict[str, Any]:
    return {"type": "repeated", "loc": ("body", name), "msg": "Repeated member"}
