"""The IP address of the client: the peer's, or what a trusted proxy reports."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from fastapi import Request

from api.settings import Network

Address = IPv4Address | IPv6Address

_MAX_USER_AGENT_LENGTH = 500
# Of an IPv6 address that ends in an IPv4 address.
_MAX_LENGTH = 45
_NAT64 = IPv6Network("64:ff9b::/96")
# Some proxies add the port, and then put IPv6 in brackets.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[0-9.]+):\d+", re.ASCII)


def of(request: Request, trusted: tuple[Network, ...]) -> str | None:
    """The address of the client: the last in X-Forwarded-For that is not of a trusted proxy.

    Everything before it may be forged. None only for a peer without an address, on a unix socket.
    """
    address = parse(request.client.host) if request.client else None
    hops = request.headers.getlist("x-forwarded-for") if trusted else []
    forwarded = [hop for line in hops for hop in line.split(",")]
    while forwarded and _is_trusted(address, trusted):
        hop = parse(forwarded.pop())
        if hop is None:
            break
        address = hop
    return str(address) if address else None


def parse(text: str) -> Address | None:
    """An address as a proxy may write it; None if it is not valid.

    An IPv4 address that is mapped to IPv6, or translated to it (NAT64), becomes an IPv4 address.
    The zone of a link-local address is removed: it has no meaning outside the machine, and any
    length.
    """
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match["v6"] or match["v4"]
    text = text.partition("%")[0]
    return _read(text) if len(text) <= _MAX_LENGTH else None


# A request needs it for its log line, too, and most come from the same few proxies and clients.
@lru_cache(maxsize=4096)
def _read(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or _translated(address) or address
    return address


def _translated(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address in one of NAT64, all of which would count as one network otherwise.

    Only public addresses are translated (RFC 6052, 3.1), so nobody claims to be of this machine.
    """
    embedded = IPv4Address(address.packed[-4:])
    return embedded if address in _NAT64 and embedded.is_global else None


def user_agent(request: Request) -> str | None:
    """The User-Agent header without NUL, which PostgreSQL cannot store, and limited in length."""
    text = request.headers.get("user-agent", "").replace("\x00", "")
    return text[:_MAX_USER_AGENT_LENGTH] or None


def _is_trusted(address: Address | None, trusted: tuple[Network, ...]) -> bool:
    # A peer on a unix socket is on this machine, so it is the proxy.
    return address is None or any(address in network for network in trusted)
