"""Error responses of the OAuth endpoints: RFC 6749, 5.2 instead of problem details."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec

from fastapi import Response
from starlette.exceptions import HTTPException

from api.errors import headers_of
from authentication import errors
from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from counterfoil.problems import RETRY_AFTER, log_unavailable

P = ParamSpec("P")

# The endpoints that use `oauth_errors`, for the middleware, which responds before they are called.
PATHS = frozenset({"/token", "/introspect", "/revoke", "/device_authorization"})

# What a client that did not prove who it is may try (RFC 6749, 5.2).
BASIC_CHALLENGE = {"WWW-Authenticate": 'Basic realm="counterfoil"'}

# The codes of RFC 6749, 5.2 for our errors; all others are an invalid_request.
_CODES: dict[type[CounterfoilError], str] = {
    errors.InvalidCredentials: "invalid_grant",
    errors.EmailUnverified: "invalid_grant",
    errors.SecondFactorRequired: "second_factor_required",
    errors.InvalidRefreshToken: "invalid_grant",
    errors.SessionLimitReached: "invalid_grant",
    errors.InvalidScope: "invalid_scope",
    errors.InvalidGrant: "invalid_grant",
    errors.UnauthorizedClient: "unauthorized_client",
    errors.AuthorizationPending: "authorization_pending",
    errors.SlowDown: "slow_down",
    errors.AccessDenied: "access_denied",
    errors.DeviceCodeExpired: "expired_token",
    errors.HashingBusy: "temporarily_unavailable",
}


class OAuthException(Exception):
    """`error` is one of the codes of RFC 6749, 5.2, or ours; the description is ASCII.

    `members` are added to the response.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        headers: dict[str, str] | None = None,
        members: dict[str, Any] | None = None,
    ) -> None:
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers or {}
        self.members = members or {}
        super().__init__(description)

    def response(self) -> Response:
        """The response; like one with tokens it must not be stored."""
        return Response(
            json.dumps(
                {"error": self.error, "error_description": self.description, **self.members}
            ),
            self.status,
            headers={"Cache-Control": "no-store", "Pragma": "no-cache", **self.headers},
            media_type="application/json",
        )


def oauth_errors(
    endpoint: Callable[P, Awaitable[Response]],
) -> Callable[P, Awaitable[Response]]:
    """A decorator: errors of the endpoint become responses in the form of OAuth."""

    @wraps(endpoint)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await endpoint(*args, **kwargs)
        except OAuthException as exception:
            return exception.response()
        except CounterfoilError as error:
            return _translate(error).response()
        except HTTPException as error:
            return from_http(error)
        except DatabaseUnavailable as error:
            log_unavailable(error)
            return _unavailable(error.detail).response()

    return wrapper


def from_http(error: HTTPException) -> Response:
    """The response to an error before the endpoint is called, such as a body that is too large."""
    exception = OAuthException(
        "invalid_request",
        str(error.detail),
        status=error.status_code,
        headers=dict(error.headers or {}),
    )
    return exception.response()


def _translate(error: CounterfoilError) -> OAuthException:
    code = _CODES.get(type(error), "invalid_request")
    if isinstance(error, errors.TooManyAttempts):
        # RFC 6749 has no code for it; clients understand this one as "try again later".
        return OAuthException(
            "temporarily_unavailable",
            error.detail,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            headers=headers_of(error),
        )
    if isinstance(error, errors.InvalidClient):
        return OAuthException(
            error.code, error.detail, status=HTTPStatus.UNAUTHORIZED, headers=BASIC_CHALLENGE
        )
    if code == "temporarily_unavailable":
        return _unavailable(error.detail)
    members = error.members if isinstance(error, errors.SecondFactorRequired) else None
    return OAuthException(code, error.detail, members=members)


def _unavailable(description: str) -> OAuthException:
    return OAuthException(
        "temporarily_unavailable",
        description,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers=RETRY_AFTER,
    )
