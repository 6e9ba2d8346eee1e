"""Finds the session cookie of a single-page application, and rejects forged requests (CSRF).

A browser sends a cookie by itself, also when another site makes it send a request. So the cookie is
a credential only in a request that comes from a page of the same origin, and, if the request could
change something, has a header that a page of another origin cannot set without being allowed to.
"""

import re
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from counterfoil import tokens
from counterfoil.arguments import several
from counterfoil.errors import AmbiguousCredentials, ForgedRequest

Headers = Iterable[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]

# Browsers accept this prefix only for secure cookies of exactly this host (RFC 6265bis, 4.1.3.2).
# The console has a cookie of its own, `__Host-counterfoil_session`.
NAME = "__Host-counterfoil_browser_session"
HEADER = "X-Counterfoil-CSRF"

# The key in a request's scope that is true if its identity comes from the cookie.
BY_COOKIE = "counterfoil.by_cookie"
# The key in a request's scope that is true if it stands for another one, of any method.
ON_BEHALF = "counterfoil.on_behalf"

_NAME = NAME.encode()
_HEADER = HEADER.lower().encode()
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


# As browsers write it, without a slash at the end.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]+")


class SessionCookie:
    """`origins` are those of the pages, for a proxy that changes the header Host.

    Raises ValueError for what is none.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(one.lower() for one in several("origins", origins))
        for origin in self._origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin like 'https://example.org'")

    def find(self, scope: Scope) -> str | None:
        """The token in the cookie, if any. Raises AmbiguousCredentials for two of them.

        Raises ForgedRequest if there is one, and another site may have caused the request.
        """
        token = read(scope["headers"])
        if token is not None:
            self.reject_forged(scope)
        return token

    def reject_forged(self, scope: Scope) -> None:
        """Raises ForgedRequest unless a page of the same origin has sent the request."""
        is_handshake = scope["type"] == "websocket"
        # A script cannot set headers of a handshake, and a proxy may ask by GET for any request.
        is_safe = is_handshake or scope["method"] in _SAFE_METHODS
        needs_header = not is_safe or scope.get(ON_BEHALF, False)
        headers = dict(scope["headers"])
        if needs_header and not headers.get(_HEADER):
            raise ForgedRequest(f"A request with a session cookie needs the header {HEADER}.")
        if not self._is_same_origin(headers, is_handshake=is_handshake):
            raise ForgedRequest

    def _is_same_origin(self, headers: dict[bytes, bytes], *, is_handshake: bool) -> bool:
        """Judged by headers that scripts cannot set, and by the more recent one if it is there."""
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site in {b"same-origin", b"none"}
        origin = headers.get(b"origin")
        if origin is None:
            # Every browser sends it with a handshake, which no same-origin policy protects.
            return not is_handshake
        return self._is_own(origin.decode("latin-1"), headers.get(b"host", b"").decode("latin-1"))

    def _is_own(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        try:
            url = urlsplit(origin)
            is_secure = url.scheme == "https" or url.hostname in _LOOPBACK
        except ValueError:
            return False
        return is_secure and bool(url.netloc) and url.netloc == host


def read(headers: Headers) -> str | None:
    """The token in the cookie, if any. Raises AmbiguousCredentials for two different ones."""
    found: str | None = None
    for name, value in headers:
        if name != b"cookie":
            continue
        for pair in value.split(b";"):
            key, _, text = pair.partition(b"=")
            token = tokens.strip(text.decode("latin-1")) if key.strip() == _NAME else ""
            if not token:
                continue
            if found is not None and found != token:
                raise AmbiguousCredentials
            found = token
    return found
