"""What the body of a request is, by its headers."""

import math
from collections.abc import Iterable
from http import HTTPStatus

from fastapi import HTTPException, Request


def has_body(request: Request) -> bool:
    """Whether a body was announced, which may still turn out to be empty."""
    length = request.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in request.headers


def announced_length(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """The length in bytes of the body; infinity if it comes in chunks, and 0 if there is none."""
    length = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return math.inf
        if name == b"content-length" and value.isdigit():
            length = int(value)
    return length


def of(request: Request) -> str:
    """The media type without parameters, in lower case. Empty if none was sent."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(request: Request) -> bool:
    """Whether the body may be read as JSON (RFC 6839, 3.1)."""
    main, _, subtype = of(request).partition("/")
    return main == "application" and subtype.rpartition("+")[2] == "json"


def is_encoded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the body is compressed, which nothing here undoes (RFC 9110, 8.4)."""
    return any(
        name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}
        for name, value in headers
    )


def unsupported() -> HTTPException:
    """The error for a body that cannot be read as JSON because of its type or its encoding."""
    return HTTPException(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body must be application/json, and not compressed.",
        {"Accept": "application/json", "Accept-Encoding": "identity"},
    )
