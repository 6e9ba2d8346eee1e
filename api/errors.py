"""Says over HTTP what was refused: statuses from one table, bodies as RFC 9457 has them."""

import json
import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.routing.route_group import flatten
from authentication import errors
from authentication.errors import CounterfoilError
from database.errors import DatabaseUnavailable

log = logging.getLogger("counterfoil.errors")

# A test demands that every error of the tree is here, by itself or by its parent.
STATUSES: dict[type[CounterfoilError], HTTPStatus] = {
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.InvalidToken: HTTPStatus.UNAUTHORIZED,
    errors.AmbiguousCredentials: HTTPStatus.BAD_REQUEST,
    errors.InvalidCredentials: HTTPStatus.UNAUTHORIZED,
    errors.WrongPassword: HTTPStatus.FORBIDDEN,
    errors.ConfirmationRequired: HTTPStatus.FORBIDDEN,
    errors.InsufficientScope: HTTPStatus.FORBIDDEN,
    errors.InsufficientRole: HTTPStatus.FORBIDDEN,
    errors.SessionRequired: HTTPStatus.FORBIDDEN,
    errors.InvalidScope: HTTPStatus.BAD_REQUEST,
    errors.InvalidRefreshToken: HTTPStatus.UNAUTHORIZED,
    errors.SessionLimitReached: HTTPStatus.CONFLICT,
    errors.HashingBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.InvalidField: HTTPStatus.UNPROCESSABLE_ENTITY,
}

RETRY_AFTER_SECONDS = 1

# What may stand between the quotes of a challenge (RFC 6749, 3.3); the rest could break out of it.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")

_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}


def install(app: FastAPI) -> None:
    """Let this module answer for everything that goes wrong."""
    app.exception_handler(CounterfoilError)(_refused)
    app.exception_handler(DatabaseUnavailable)(_unavailable)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_unexpected)


def status_of(error: CounterfoilError) -> HTTPStatus:
    """The status for an error, its own or that of its nearest parent in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """An answer in the form of RFC 9457."""
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


def headers_of(error: CounterfoilError) -> dict[str, str]:
    """The headers that go with an error, above all the challenge (RFC 6750, 3)."""
    match error:
        case errors.NotAuthenticated() | errors.InvalidCredentials():
            return {"WWW-Authenticate": "Bearer"}
        case errors.InvalidToken() | errors.InvalidRefreshToken():
            return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        case errors.InsufficientScope(scopes=scopes):
            challenge = 'Bearer error="insufficient_scope"'
            if all(map(_SCOPE.fullmatch, scopes)):
                challenge += f', scope="{" ".join(sorted(scopes))}"'
            return {"WWW-Authenticate": challenge}
        case errors.HashingBusy():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case errors.TooManyAttempts(retry_after_seconds=seconds):
            return {"Retry-After": str(seconds)}
    return {}


async def _refused(request: Request, error: CounterfoilError) -> Response:
    more: dict[str, Any] = {}
    if isinstance(error, errors.InvalidField):
        more["errors"] = [{"field": error.field, "message": error.detail}]
    headers = headers_of(error)
    return problem(status_of(error), error.code, error.detail, headers=headers, **more)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("database unavailable: %s", error)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "The database cannot be reached at the moment.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """Name the fields and the reasons. Never the input: it may be a password."""
    found = [
        {"field": _field(one["loc"]), "message": str(one["msg"]).removeprefix("Value error, ")}
        for one in error.errors()
    ]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        "The request does not have the form that is needed.",
        errors=found,
    )


def _field(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


async def _http(request: Request, error: HTTPException) -> Response:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error.headers = {**(error.headers or {}), "Allow": _allowed(request)}
    return from_http(error)


def from_http(error: HTTPException) -> Response:
    """A problem for what the framework refuses, and for a route of yours that raises one."""
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, status.name.lower())
    return problem(status, code, str(error.detail), headers=dict(error.headers or {}))


def _allowed(request: Request) -> str:
    """The methods of every route at this path; the framework names those of the first alone."""
    methods: set[str] = set()
    for route in flatten(request.app.router.routes):
        if route.matches(request.scope)[0] is not Match.NONE:
            methods.update(getattr(route, "methods", None) or ())
    # A mounted folder of files has seen to it that nothing matches any more.
    return ", ".join(sorted(methods or {"GET", "HEAD"}))


async def _unexpected(request: Request, error: Exception) -> Response:
    """The last resort shows nothing of the inside; api/middleware.py logs it all."""
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side."
    )
