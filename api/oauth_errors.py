"""Errors of the OAuth endpoints, which speak RFC 6749, 5.2 instead of problem details."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import ParamSpec

from fastapi import Response
from starlette.exceptions import HTTPException

from api.errors import headers_of
from authentication import errors
from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from counterfoil.problems import RETRY_AFTER, log_unavailable

P = ParamSpec("P")

# The endpoints that are decorated below, for those who answer in place of them.
PATHS = frozenset({"/token", "/introspect", "/revoke"})

# How these errors are called there; what is not listed is an invalid_request.
_CODES: dict[type[CounterfoilError], str] = {
    errors.InvalidCredentials: "invalid_grant",
    errors.InvalidRefreshToken: "invalid_grant",
    errors.SessionLimitReached: "invalid_grant",
    errors.InvalidScope: "invalid_scope",
    errors.HashingBusy: "temporarily_unavailable",
}


class OAuthRefusal(Exception):
    """`error` is one of the codes of RFC 6749, 5.2; the description is ASCII."""

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers or {}
        super().__init__(description)

    def response(self) -> Response:
        """The answer; like the tokens themselves it is not to be stored."""
        return Response(
            json.dumps({"error": self.error, "error_description": self.description}),
            self.status,
            headers={"Cache-Control": "no-store", "Pragma": "no-cache", **self.headers},
            media_type="application/json",
        )


def oauth_errors(
    endpoint: Callable[P, Awaitable[Response]],
) -> Callable[P, Awaitable[Response]]:
    """Let an endpoint answer for its errors in OAuth's form."""

    @wraps(endpoint)
    async def answering(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await endpoint(*args, **kwargs)
        except OAuthRefusal as refusal:
            return refusal.response()
        except CounterfoilError as error:
            return _from(error).response()
        except HTTPException as error:
            return from_http(error)
        except DatabaseUnavailable as error:
            log_unavailable(error)
            return _unavailable(error.detail).response()

    return answering


def from_http(error: HTTPException) -> Response:
    """What is wrong with the request before anyone has looked into it, such as its size."""
    refusal = OAuthRefusal(
        "invalid_request",
        str(error.detail),
        status=error.status_code,
        headers=dict(error.headers or {}),
    )
    return refusal.response()


def _from(error: CounterfoilError) -> OAuthRefusal:
    code = _CODES.get(type(error), "invalid_request")
    if isinstance(error, errors.TooManyAttempts):
        # RFC 6749 has no code for it; its clients know this one as "not now".
        return OAuthRefusal(
            "temporarily_unavailable",
            error.detail,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            headers=headers_of(error),
        )
    if code == "temporarily_unavailable":
        return _unavailable(error.detail)
    return OAuthRefusal(code, error.detail)


def _unavailable(description: str) -> OAuthRefusal:
    return OAuthRefusal(
        "temporarily_unavailable",
        description,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers=RETRY_AFTER,
    )
