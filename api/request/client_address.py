"""Whose address counts: the peer's, or what a trusted proxy says of it."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from fastapi import Request

from api.settings import Network

Address = IPv4Address | IPv6Address

_LONGEST_USER_AGENT = 500
# Some proxies add the port, and then put IPv6 in brackets.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[0-9.]+):\d+", re.ASCII)


def of(request: Request, trusted: tuple[Network, ...]) -> str | None:
    """The address of the client, walking X-Forwarded-For from the right past trusted proxies.

    Whatever a proxy that is not trusted has written, or the client itself, is left of that point.
    None only for a peer that has no address, as on a unix socket.
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
    """An address as a proxy may write it; None if it is none.

    An IPv4 address that came in through an IPv6 socket is an IPv4 address all the same. The zone of
    a link-local address says nothing outside the machine, and is of any length.
    """
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match["v6"] or match["v4"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def user_agent(request: Request) -> str | None:
    """What the client calls itself, cut to a sensible length and free of what cannot be stored."""
    text = request.headers.get("user-agent", "").replace("\x00", "")
    return text[:_LONGEST_USER_AGENT] or None


def _is_trusted(address: Address | None, trusted: tuple[Network, ...]) -> bool:
    # Only a program on this machine reaches a unix socket, and there it is the proxy.
    return address is None or any(address in network for network in trusted)
