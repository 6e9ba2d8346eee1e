"""The address of the service, as it stands in an application's settings."""

from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """`authority` is what the header `Host` says, `path` the one of the introspection endpoint."""

    host: str
    port: int
    is_encrypted: bool
    authority: str
    path: str


def parse(url: str) -> Endpoint:
    """The introspection endpoint of the service at "https://auth.example.org".

    The URL may have a path, as an issuer may. Raises ValueError for one with anything else.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the url must be that of the service, as in https://auth.example.org")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the url must have neither a user, nor a query, nor a fragment")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("the url must be ASCII without spaces: encode what is not")
    return Endpoint(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        is_encrypted=parts.scheme == "https",
        authority=parts.netloc,
        path=f"{parts.path.rstrip('/')}/introspect",
    )
