"""Reads and writes the cookies of pages, with their names and security attributes.

Only pages read them. The API takes credentials from headers alone, so another site cannot
make a browser call the API on behalf of its user.
"""

from urllib.parse import urlsplit

from fastapi import Request, Response

from api.request.hosts import is_loopback

SESSION = "counterfoil_session"
SIGN_IN = "counterfoil_sign_in"
NOTICE = "counterfoil_notice"

# Browsers accept this prefix only for secure cookies of exactly this host (RFC 6265bis, 4.1.3.2).
_PREFIX = "__Host-"


def read(request: Request, cookie: str) -> str | None:
    """The value that the browser sent. None if there is none or it is empty."""
    return request.cookies.get(_name(request, cookie)) or None


def write(request: Request, response: Response, cookie: str, value: str) -> None:
    """Set a session cookie that neither scripts nor other sites can use."""
    response.set_cookie(
        _name(request, cookie),
        value,
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def clear(request: Request, response: Response, cookie: str) -> None:
    """Delete the cookie if the browser sent it."""
    if _name(request, cookie) not in request.cookies:
        return
    response.delete_cookie(
        _name(request, cookie),
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def _name(request: Request, cookie: str) -> str:
    return _PREFIX + cookie if _is_secure(request) else cookie


def _is_secure(request: Request) -> bool:
    """Over plain HTTP, browsers accept secure cookies only from loopback addresses."""
    issuer = urlsplit(request.app.state.settings.api.issuer)
    return issuer.scheme == "https" or is_loopback(issuer.hostname or "")
