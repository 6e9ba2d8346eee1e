"""Writes the cookie of a single-page application. counterfoil/cookies.py reads it."""

from typing import Any

from fastapi import Request, Response

from counterfoil.cookies import BY_COOKIE, NAME

_ATTRIBUTES: dict[str, Any] = {"path": "/", "secure": True, "httponly": True, "samesite": "strict"}


def is_used_by(request: Request) -> bool:
    """Whether the caller was identified by the cookie."""
    return bool(request.scope.get(BY_COOKIE))


def write(response: Response, token: str, *, seconds: int) -> None:
    """Keep the token in the browser, where no script can read it, for at most so long."""
    response.set_cookie(NAME, token, max_age=seconds, **_ATTRIBUTES)


def clear(response: Response) -> None:
    """Delete the cookie."""
    response.delete_cookie(NAME, **_ATTRIBUTES)
