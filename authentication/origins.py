"""Origins of pages, as browsers write them (RFC 6454, 6.2), and of apps that sign with passkeys."""

import re
from urllib.parse import urlsplit

# A scheme, a name in lower case or an address, and a port.
_is_origin = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
).fullmatch
# Android names an app by the SHA-256 digest of the certificate that its developer signs it with.
_is_android_app = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}").fullmatch
_is_domain = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*").fullmatch
_DEFAULT_PORTS = {"http": 80, "https": 443}


def read(value: str) -> str:
    """The origin of pages. Raises ValueError, which says what is wrong with it."""
    if value in {"*", "null"}:
        raise ValueError(f"{value} stands for pages of anybody; name each origin")
    if not _is_origin(value):
        raise ValueError(
            "an origin is scheme://host or scheme://host:port, in lower case and without a path"
        )
    url = urlsplit(value)
    if url.port is not None and url.port == _DEFAULT_PORTS.get(url.scheme):
        raise ValueError(f"browsers leave out the port {url.port} in an origin of {url.scheme}")
    return value


def read_of_passkeys(value: str) -> str:
    """The same, or that of an Android app."""
    return value if _is_android_app(value) else read(value)


def read_domain(value: str) -> str:
    """A name in lower case. Raises ValueError."""
    if not _is_domain(value):
        raise ValueError("a domain is a name in lower case, without a scheme, a port or a path")
    return value
