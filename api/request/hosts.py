"""Names and addresses of hosts."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def name_of(host: str) -> str | None:
    """The name or address in a Host header, without its port; None if the header is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a name or an address without a port leads to this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
