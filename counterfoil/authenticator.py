"""Finds the credential in a request and resolves it, once for each request.

Knows ASGI and no framework. The credential is read from headers only, never from the query string;
from a cookie only where an application has said so.
"""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from counterfoil import tokens
from counterfoil.arguments import several
from counterfoil.cookies import BY_COOKIE, SessionCookie
from counterfoil.errors import AmbiguousCredentials, InvalidToken
from counterfoil.identity import Identity, SessionKind
from counterfoil.resolver import TokenResolver

Headers = Iterable[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]

# The key in a request's scope of the identity, once it has been resolved.
RESOLVED = "counterfoil.identity"

# The key in a request's scope of the authenticator that resolves it, if a middleware does.
AUTHENTICATOR = "counterfoil.authenticator"

API_KEY_HEADERS = ("X-API-Key", "Token")

_SCHEMES = frozenset({"bearer"})
# Django REST framework and django-rest-knox have one of their own.
_FOREIGN_SCHEMES = _SCHEMES | {"token"}


class Authenticator:
    """Belongs to the event loop that its resolver is opened on.

    `cookie` makes the session cookie of a single-page application a credential as well, and
    `takes_foreign` a token that is sent as the clients of Django REST framework do.
    `on_rejected` is called with each credential that is not live, and the scope of its request.
    """

    def __init__(
        self,
        resolver: TokenResolver,
        *,
        api_key_headers: Iterable[str] = API_KEY_HEADERS,
        cookie: SessionCookie | None = None,
        takes_foreign: bool = False,
        on_rejected: Callable[[str, Scope], None] = lambda _token, _scope: None,
    ) -> None:
        self.resolver = resolver
        self._api_key_headers = header_names(api_key_headers)
        self._schemes = _FOREIGN_SCHEMES if takes_foreign else _SCHEMES
        self.cookie = cookie
        self._on_rejected = on_rejected

    def find_credential(self, headers: Headers) -> str | None:
        """The bearer token or API key that was sent, if any. Raises AmbiguousCredentials."""
        return find_credential(headers, self._api_key_headers, self._schemes)

    async def authenticate(self, scope: Scope, *, anew: bool = False) -> Identity | None:
        """The identity behind the request's credential. None if none was sent.

        Raises InvalidToken, AmbiguousCredentials, ForgedRequest, Unavailable. Asked twice within
        one request, it answers from the first lookup, which began after the request arrived. Where
        an application accepts stale answers, `anew` gets one that is not.
        """
        anew = anew and self.resolver.max_staleness_seconds > 0
        if RESOLVED in scope and not anew:
            known: Identity | None = scope[RESOLVED]
            return known
        token = self.find(scope)
        identity = None
        if token is not None:
            kind = SessionKind.BROWSER if scope.get(BY_COOKIE) else SessionKind.API
            identity = await self.resolver.resolve(token, session_kind=kind, anew=anew)
            if identity is None:
                self._on_rejected(token, scope)
                raise InvalidToken
        scope[RESOLVED] = identity
        return identity

    def find(self, scope: Scope) -> str | None:
        """The credential of a request, if any: of its headers, or of its cookie if that counts.

        Raises AmbiguousCredentials, ForgedRequest.
        """
        token = self.find_credential(scope["headers"])
        kept = self.cookie.find(scope) if self.cookie is not None else None
        if kept is None:
            return token
        if token is not None:
            raise AmbiguousCredentials
        scope[BY_COOKIE] = True
        return kept


def find_credential(
    headers: Headers, api_key_headers: frozenset[bytes], schemes: frozenset[str] = _SCHEMES
) -> str | None:
    """The bearer token or API key that was sent, if any. An empty header counts as not sent.

    Reads the raw headers, lower-case as ASGI has them. Raises AmbiguousCredentials for two of them.
    """
    found: str | None = None
    for name, value in headers:
        if name == b"authorization":
            credential = _credential_of(value, schemes)
        elif name in api_key_headers:
            credential = tokens.strip(value.decode("latin-1"))
        else:
            continue
        if not credential:
            continue
        if found is not None and found != credential:
            raise AmbiguousCredentials
        found = credential
    return found


def header_names(headers: Iterable[str]) -> frozenset[bytes]:
    """Header names as ASGI has them. Raises ValueError for a name in place of a list."""
    names = several("api_key_headers", headers)
    return frozenset(name.lower().encode("latin-1") for name in names)


def _credential_of(value: bytes, schemes: frozenset[str]) -> str:
    """The token, or nothing for another scheme, which is not ours."""
    scheme, _, token = tokens.strip(value.decode("latin-1")).partition(" ")
    # The scheme is case-insensitive (RFC 9110, 11.1).
    return tokens.strip(token) if scheme.lower() in schemes else ""
