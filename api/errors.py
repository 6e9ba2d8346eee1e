"""Maps errors to HTTP: statuses from one table, bodies in the form of RFC 9457."""

import re
from http import HTTPStatus
from itertools import takewhile
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api import denials
from api.request import media_types
from api.routing.route_group import flatten
from authentication import errors
from counterfoil import problems
from counterfoil.errors import CounterfoilError, NotAuthenticated, Unavailable
from counterfoil.problems import problem

# A test demands that every error of the tree is here, by itself or by its parent.
STATUSES: dict[type[CounterfoilError], HTTPStatus] = {
    **problems.STATUSES,
    errors.InvalidCredentials: HTTPStatus.UNAUTHORIZED,
    errors.WrongPassword: HTTPStatus.FORBIDDEN,
    errors.SecondFactorRequired: HTTPStatus.UNAUTHORIZED,
    errors.InvalidMfaToken: HTTPStatus.UNAUTHORIZED,
    errors.InvalidCode: HTTPStatus.UNAUTHORIZED,
    errors.WrongCode: HTTPStatus.FORBIDDEN,
    errors.TotpUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InvalidPasskey: HTTPStatus.UNAUTHORIZED,
    errors.InvalidPasskeyRegistration: HTTPStatus.BAD_REQUEST,
    errors.EmailUnverified: HTTPStatus.FORBIDDEN,
    errors.InvalidMailToken: HTTPStatus.BAD_REQUEST,
    errors.RegistrationClosed: HTTPStatus.FORBIDDEN,
    errors.InvalidScope: HTTPStatus.BAD_REQUEST,
    errors.InvalidRefreshToken: HTTPStatus.UNAUTHORIZED,
    errors.InvalidClient: HTTPStatus.FORBIDDEN,
    errors.InvalidAuthorization: HTTPStatus.BAD_REQUEST,
    errors.UnauthorizedClient: HTTPStatus.FORBIDDEN,
    errors.InvalidGrant: HTTPStatus.BAD_REQUEST,
    errors.AuthorizationPending: HTTPStatus.BAD_REQUEST,
    errors.SlowDown: HTTPStatus.BAD_REQUEST,
    errors.AccessDenied: HTTPStatus.BAD_REQUEST,
    errors.DeviceCodeExpired: HTTPStatus.BAD_REQUEST,
    errors.InvalidTransaction: HTTPStatus.FORBIDDEN,
    errors.InvalidUserCode: HTTPStatus.NOT_FOUND,
    errors.SessionLimitReached: HTTPStatus.CONFLICT,
    errors.ApiKeyRequired: HTTPStatus.FORBIDDEN,
    errors.HashingBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.MailBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.InvalidField: HTTPStatus.UNPROCESSABLE_ENTITY,
}

_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}

# What a client can have repeated of its own input, however many fields it makes up.
_MAX_ERRORS = 20
_PLAIN_NAME = re.compile("[A-Za-z_]{1,32}")


def install(app: FastAPI) -> None:
    """Register the handlers of exceptions."""
    app.exception_handler(CounterfoilError)(rejected)
    app.exception_handler(Unavailable)(unavailable)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_unexpected)


def status_of(error: CounterfoilError) -> HTTPStatus:
    """The status for an error, its own or that of its nearest parent in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def headers_of(error: CounterfoilError) -> dict[str, str]:
    """The headers that go with an error, above all the challenge (RFC 6750, 3)."""
    match error:
        case (
            errors.InvalidCredentials()
            | errors.SecondFactorRequired()
            | errors.InvalidMfaToken()
            | errors.InvalidCode()
            | errors.InvalidPasskey()
        ):
            return {"WWW-Authenticate": "Bearer"}
        case errors.InvalidRefreshToken():
            return problems.INVALID_TOKEN_CHALLENGE
        case errors.HashingBusy() | errors.MailBusy() | errors.TotpUnavailable():
            return problems.RETRY_AFTER
        case errors.TooManyAttempts(retry_after_seconds=seconds):
            return {"Retry-After": str(seconds)}
    return problems.challenge(error)


async def rejected(request: Request, error: CounterfoilError) -> Response:
    """The response to any error of the tree. One that lacks a scope or a role is recorded."""
    denials.record(request, error)
    more: dict[str, Any] = {}
    if isinstance(error, errors.InvalidField):
        more["errors"] = [{"field": error.field, "message": error.detail}]
    if isinstance(error, errors.SecondFactorRequired):
        more |= error.members
    headers = headers_of(error)
    detail = error.detail
    if isinstance(error, NotAuthenticated):
        detail = f"{detail} {_how_to_authenticate(request)}"
    return problem(status_of(error), error.code, detail, headers=headers, **more)


def _how_to_authenticate(request: Request) -> str:
    """Names the headers of the settings: a credential in another one is not seen at all."""
    names = request.app.state.settings.api.api_key_headers
    own = f", or an API key as {' or '.join(f'`{name}: ...`' for name in names)}" if names else ""
    return f"Send it as `Authorization: Bearer ...`{own}."


async def unavailable(request: Request, error: Unavailable) -> Response:
    """The response when no token can be checked."""
    return problems.unavailable(error)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """Name the fields and the reasons. Never the input: it may be a password."""
    is_of_body = any(one["loc"][0] == "body" for one in error.errors())
    if is_of_body and media_types.has_body(request) and not media_types.is_json(request):
        return from_http(media_types.unsupported())
    found = [
        {"field": _field(one["loc"]), "message": str(one["msg"]).removeprefix("Value error, ")}
        for one in error.errors()[:_MAX_ERRORS]
    ]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        "The request does not have the form that is needed.",
        errors=found,
    )


def _field(location: tuple[Any, ...]) -> str:
    """The path to a field, up to the first part that may be anything but the name of a field."""
    named = takewhile(_is_plain, location[1:])
    return ".".join(map(str, named)) or str(location[0])


def _is_plain(part: str | int) -> bool:
    """Whether it is an index, or what a misspelt name looks like: a token, for one, has digits."""
    return isinstance(part, int) or _PLAIN_NAME.fullmatch(part) is not None


async def _http(request: Request, error: HTTPException) -> Response:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error.headers = {**(error.headers or {}), "Allow": _allowed(request)}
    return from_http(error)


def from_http(error: HTTPException) -> Response:
    """A problem for an HTTPException of the framework, or of a route that an application adds."""
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, status.name.lower())
    return problem(status, code, str(error.detail), headers=dict(error.headers or {}))


def _allowed(request: Request) -> str:
    """The methods of all routes with this path; the framework names only those of the first.

    Routes with parameters count only if there is none without: /sessions/confirm is no session.
    """
    found = [
        route
        for route in flatten(request.app.router.routes)
        if route.matches(request.scope)[0] is not Match.NONE
    ]
    exact = [route for route in found if not getattr(route, "param_convertors", True)]
    methods: set[str] = set()
    for route in exact or found:
        methods.update(getattr(route, "methods", None) or ())
    # In a mounted folder of static files, no route of the application matches the path.
    return ", ".join(sorted(methods or {"GET", "HEAD"}))


def too_many_connections() -> Response:
    """A 503 that tells a client to come again on another connection."""
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "Too many connections are open. Try again shortly.",
        headers={**problems.RETRY_AFTER, "Connection": "close"},
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    """The response to any other exception; api/middleware.py logs them."""
    return unexpected()


async def respond_unexpected(scope: Scope, receive: Receive, send: Send) -> None:
    """The same as an ASGI application, for what no handler has caught."""
    await unexpected()(scope, receive, send)


def unexpected() -> Response:
    """A 500 without details."""
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side."
    )
