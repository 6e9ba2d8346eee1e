"""Refuses forms that another site has made the browser send.

Each form carries a token that only a page of ours can know: a keyed hash whose key is the cookie,
which scripts and other sites cannot read. Nothing is stored, and the token dies with the session.
"""

import hmac
import secrets
from hashlib import sha256
from urllib.parse import urlsplit

from fastapi import Request

FIELD = "csrf_token"

_PURPOSE = b"counterfoil console form "
_SALT_LENGTH = 16


class ForeignForm(Exception):
    """The form did not come from a page of ours, or the page is older than the session."""


def token(key: str) -> str:
    """A token for one form. A salt makes each different, so that none is guessed by compression."""
    salt = secrets.token_hex(_SALT_LENGTH // 2)
    return salt + _sign(key, salt)


def check(request: Request, key: str, sent: str) -> None:
    """Raises ForeignForm unless the token belongs to the key and the browser says the same."""
    salt, signature = sent[:_SALT_LENGTH], sent[_SALT_LENGTH:]
    is_ours = hmac.compare_digest(_sign(key, salt).encode(), signature.encode())
    if not is_ours or not _is_same_origin(request):
        raise ForeignForm


def _sign(key: str, salt: str) -> str:
    return hmac.new(key.encode(), _PURPOSE + salt.encode(), sha256).hexdigest()


def _is_same_origin(request: Request) -> bool:
    """What the browser itself says, where it says anything; forms cannot change these headers."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # A proxy may call us by another name, so the public address counts as well.
    issuer = urlsplit(request.app.state.settings.api.issuer)
    hosts = {issuer.netloc, request.headers.get("host")}
    return urlsplit(origin).netloc in hosts
