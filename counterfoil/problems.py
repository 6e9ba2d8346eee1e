"""HTTP responses to rejected credentials: problem details with a challenge.

Statuses and challenges are those of RFC 6750, 3, and of RFC 9470, 3; bodies have the form of
RFC 9457.
"""

import json
import logging
import re
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from counterfoil import errors
from counterfoil.errors import CounterfoilError, DatabaseUnavailable

log = logging.getLogger("counterfoil.errors")

STATUSES: dict[type[CounterfoilError], HTTPStatus] = {
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.InvalidToken: HTTPStatus.UNAUTHORIZED,
    errors.AmbiguousCredentials: HTTPStatus.BAD_REQUEST,
    errors.ForgedRequest: HTTPStatus.FORBIDDEN,
    errors.InsufficientScope: HTTPStatus.FORBIDDEN,
    errors.InsufficientRole: HTTPStatus.FORBIDDEN,
    errors.InsufficientUserAuthentication: HTTPStatus.UNAUTHORIZED,
    errors.SessionRequired: HTTPStatus.FORBIDDEN,
}

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds after which a client may try again when the service is unavailable."""

INVALID_TOKEN_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

# What is safe between the quotes of a challenge (RFC 6749, 3.3).
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A response in the form of RFC 9457."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **more,
    }
    return Response(
        json.dumps(body), status, headers=headers, media_type="application/problem+json"
    )


def challenge(error: CounterfoilError) -> dict[str, str]:
    """The header that asks for another credential (RFC 6750, 3), if another would help."""
    match error:
        case errors.NotAuthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case errors.InvalidToken():
            return INVALID_TOKEN_CHALLENGE
        case errors.InsufficientScope(scopes=scopes):
            value = 'Bearer error="insufficient_scope"'
            if all(map(_SCOPE.fullmatch, scopes)):
                value += f', scope="{" ".join(sorted(scopes))}"'
            return {"WWW-Authenticate": value}
        case errors.InsufficientUserAuthentication(max_age_seconds=seconds):
            value = f'Bearer error="{error.code}", max_age="{seconds}"'
            return {"WWW-Authenticate": value}
    return {}


def rejected(error: CounterfoilError) -> Response:
    """The response to a rejected credential, for any error of counterfoil/errors.py."""
    return problem(STATUSES[type(error)], error.code, error.detail, headers=challenge(error))


def unavailable(error: DatabaseUnavailable) -> Response:
    """The response when no token can be checked: not 401, after which clients log users out."""
    log_unavailable(error)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code, error.detail, headers=RETRY_AFTER)


def log_unavailable(error: DatabaseUnavailable) -> None:
    """Called for every response to this error, whatever its form."""
    log.warning("database unavailable: %s", error)
