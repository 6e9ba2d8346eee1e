"""HTTP responses to rejected credentials, as Starlette and FastAPI send them."""

from typing import Any

from starlette.responses import Response

from counterfoil import rejections
from counterfoil.errors import CounterfoilError, Unavailable
from counterfoil.rejections import (
    INVALID_TOKEN_CHALLENGE,
    MEDIA_TYPE,
    RETRY_AFTER,
    STATUSES,
    challenge,
    log_unavailable,
)

__all__ = [
    "INVALID_TOKEN_CHALLENGE",
    "RETRY_AFTER",
    "STATUSES",
    "challenge",
    "log_unavailable",
    "problem",
    "rejected",
    "unavailable",
]


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A response in the form of RFC 9457."""
    body = rejections.body(status, code, detail, **more)
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def rejected(error: CounterfoilError) -> Response:
    """The response to a rejected credential, for any error of counterfoil/errors.py."""
    return _response(rejections.to(error))


def unavailable(error: Unavailable) -> Response:
    """The response when no token can be checked: not 401, after which clients log users out."""
    log_unavailable(error)
    return _response(rejections.to(error))


def _response(answer: rejections.Answer) -> Response:
    return Response(answer.body, answer.status, headers=answer.headers, media_type=MEDIA_TYPE)
