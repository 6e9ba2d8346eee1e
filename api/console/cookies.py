"""The cookies of the console: what they are called and who may read them.

Only the pages of the console ever look at them. The API takes credentials from headers alone, so
that no other site can make a browser call it in somebody's name.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request, Response

SESSION = "counterfoil_session"
SIGN_IN = "counterfoil_sign_in"
NOTICE = "counterfoil_notice"

# Kept by the browser for this host alone, sent over TLS alone, and set by no other host.
_PREFIX = "__Host-"


def read(request: Request, cookie: str) -> str | None:
    """The value that the browser sent."""
    return request.cookies.get(_name(request, cookie)) or None


def write(request: Request, response: Response, cookie: str, value: str) -> None:
    """For as long as the browser is open, out of the reach of scripts and of other sites."""
    response.set_cookie(
        _name(request, cookie),
        value,
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def clear(request: Request, response: Response, cookie: str) -> None:
    """Let the browser forget it, if it has one."""
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
    """Browsers take secure cookies from plain HTTP for addresses of the machine itself alone."""
    issuer = urlsplit(request.app.state.settings.api.issuer)
    return issuer.scheme == "https" or _is_loopback(issuer.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
