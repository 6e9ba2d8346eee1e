"""What is answered to rejected credentials, for every web framework: status, challenge and body.

Statuses and challenges are those of RFC 6750, 3, and of RFC 9470, 3; bodies have the form of
RFC 9457.
"""

import json
import logging
import re
from http import HTTPStatus
from typing import Any, NamedTuple

from counterfoil import errors
from counterfoil.errors import CounterfoilError, DatabaseUnavailable, Unavailable
from counterfoil.identity import Acr

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


MEDIA_TYPE = "application/problem+json"


# The ASGI extension by which the opening of a WebSocket is answered like any request.
DENIAL = "websocket.http.response"

# RFC 6455, 7.4.1, and the registry that it made.
_POLICY_VIOLATION = 1008
_TRY_AGAIN_LATER = 1013


class Answer(NamedTuple):
    """A response before a framework sends it."""

    status: HTTPStatus
    headers: dict[str, str]
    body: str


def to(error: CounterfoilError | Unavailable) -> Answer:
    """The answer to any error of counterfoil/errors.py.

    When no token can be checked it is not 401, after which clients log users out.
    """
    if isinstance(error, Unavailable):
        status, headers = HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER
    else:
        status, headers = STATUSES[type(error)], challenge(error)
    return Answer(status, dict(headers), body(status, error.code, error.detail))


def close_code(error: CounterfoilError | Unavailable) -> int:
    """What closes a WebSocket that cannot be answered otherwise."""
    return _TRY_AGAIN_LATER if isinstance(error, Unavailable) else _POLICY_VIOLATION


def body(status: int, code: str, detail: str, **more: Any) -> str:
    """Problem details in the form of RFC 9457."""
    members = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **more,
    }
    return json.dumps(members)


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
            value = f'Bearer error="{error.code}"'
            if error.needs_second_factor:
                value += f', acr_values="{Acr.SECOND_FACTOR}"'
            if seconds is not None:
                value += f', max_age="{seconds}"'
            return {"WWW-Authenticate": value}
    return {}


def log_unavailable(error: Unavailable) -> None:
    """Called for every response to this error, whatever its form."""
    # The introspection client has logged its own failures, each once for many requests.
    if isinstance(error, DatabaseUnavailable):
        log.warning("database unavailable: %s", error)
