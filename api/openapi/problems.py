"""What the OpenAPI description says of errors: a meaning and an example for each status."""

from http import HTTPStatus
from typing import Any, NamedTuple

from counterfoil.errors import DatabaseUnavailable


class _Meaning(NamedTuple):
    """What a status means here, with an example of the body's `code` and `detail`."""

    description: str
    code: str
    detail: str


MEANINGS = {
    400: _Meaning(
        "A body that cannot be read, a scope that cannot be granted, or several credentials.",
        "ambiguous_credentials",
        "More than one credential was sent. Send one.",
    ),
    401: _Meaning(
        "No credential, one that is not live, or a session in which the password was not given "
        "recently.",
        "invalid_token",
        "The token is not valid.",
    ),
    403: _Meaning(
        "The credential is not sufficient, or the current password is wrong.",
        "insufficient_scope",
        "This needs the scope account.",
    ),
    404: _Meaning(
        "It does not exist, or does not belong to you.", "not_found", "There is no such thing."
    ),
    409: _Meaning(
        "It conflicts with the current state.",
        "email_taken",
        "An account with this e-mail address exists already.",
    ),
    408: _Meaning(
        "The body took too long to arrive.",
        "request_timeout",
        "The body took too long to arrive.",
    ),
    413: _Meaning(
        "The body is too large.",
        "body_too_large",
        "The body is larger than this service takes.",
    ),
    415: _Meaning(
        "The body is not JSON, or is compressed.",
        "unsupported_media_type",
        "The body must be application/json, and not compressed.",
    ),
    422: _Meaning(
        "The request is not valid; `errors` lists the fields.",
        "validation_failed",
        "The request does not have the form that is needed.",
    ),
    429: _Meaning(
        "Too many attempts; see Retry-After.",
        "too_many_attempts",
        "Too many attempts. Try again later.",
    ),
    503: _Meaning(
        "The database cannot be reached, or the service is busy; see Retry-After.",
        DatabaseUnavailable.code,
        DatabaseUnavailable.detail,
    ),
}
_HEADERS = {
    401: {"WWW-Authenticate": "The challenge of RFC 6750, 3, or RFC 9470, 3."},
    429: {"Retry-After": "Seconds."},
    503: {"Retry-After": "Seconds."},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its `responses`."""
    return {status: _problem(HTTPStatus(status)) for status in statuses}


def _problem(status: HTTPStatus) -> dict[str, Any]:
    name = status.name.lower()
    meaning = MEANINGS.get(status, _Meaning(status.phrase, name, status.description))
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": meaning.code,
        "detail": meaning.detail,
    }
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        example["errors"] = [{"field": "password", "message": "Use at least 8 characters."}]
    schema = {"$ref": "#/components/schemas/Problem"}
    headers = _HEADERS.get(status, {})
    return {
        "description": meaning.description,
        "content": {"application/problem+json": {"schema": schema, "example": example}},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        },
    }
