"""Protects the forms of pages against cross-site request forgery (CSRF).

Each form carries a token that only our pages can know: a salted HMAC whose key is the
session cookie, which scripts and other sites cannot read. Nothing is stored, and the token becomes
invalid with the session.
"""

import hmac
import secrets
from hashlib import sha256
from urllib.parse import urlsplit

from fastapi import Request

FIELD = "csrf_token"

_PURPOSE = b"counterfoil form "
_SALT_LENGTH = 16


class CsrfCheckFailed(Exception):
    """The form was not sent by one of our pages, or by one that is older than the session."""


class CookieMissing(CsrfCheckFailed):
    """The browser keeps no cookies, or they were deleted while the page was open."""


def token(key: str) -> str:
    """A token for one form. The salt makes each one different, against attacks like BREACH."""
    salt = secrets.token_hex(_SALT_LENGTH // 2)
    return salt + _sign(key, salt)


def check(request: Request, key: str, sent: str) -> None:
    """Raises CsrfCheckFailed unless the token belongs to the key and the origin is this site."""
    salt, signature = sent[:_SALT_LENGTH], sent[_SALT_LENGTH:]
    is_valid = hmac.compare_digest(_sign(key, salt).encode(), signature.encode())
    if not is_valid or not is_same_origin(request):
        raise CsrfCheckFailed


def _sign(key: str, salt: str) -> str:
    return hmac.new(key.encode(), _PURPOSE + salt.encode(), sha256).hexdigest()


def is_same_origin(request: Request) -> bool:
    """Whether a page of ours has sent the request.

    Judged by Sec-Fetch-Site and Origin where they are sent. Scripts cannot set these headers.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # A proxy may change the Host header, so the host of the issuer is accepted as well.
    issuer = urlsplit(request.app.state.settings.api.issuer)
    hosts = {issuer.netloc, request.headers.get("host")}
    try:
        return urlsplit(origin).netloc in hosts
    except ValueError:
        return False
