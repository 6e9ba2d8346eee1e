"""Finds the credential in a request: which header, which scheme, and never the query string."""

from collections.abc import Iterable

from authentication.errors import AmbiguousCredentials

Headers = Iterable[tuple[bytes, bytes]]


def find(headers: Headers, api_key_headers: frozenset[bytes]) -> str | None:
    """The bearer token or API key that was sent, if any.

    Reads the raw headers, lower-case as ASGI has them. Raises AmbiguousCredentials for two of them.
    """
    found: str | None = None
    for name, value in headers:
        if name == b"authorization":
            credential = _bearer(value)
        elif name in api_key_headers:
            credential = value.decode("latin-1").strip()
        else:
            continue
        if credential is None:
            continue
        if found is not None and found != credential:
            raise AmbiguousCredentials
        found = credential
    return found


def _bearer(value: bytes) -> str | None:
    scheme, _, token = value.decode("latin-1").partition(" ")
    # The scheme is case-insensitive (RFC 9110, 11.1). Another scheme is not ours to judge.
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def names(headers: Iterable[str]) -> frozenset[bytes]:
    """Header names as ASGI has them."""
    return frozenset(header.lower().encode("latin-1") for header in headers)
