"""Whose address counts: the peer's, or what a trusted proxy says of it."""

from ipaddress import ip_address

from fastapi import Request

from api.settings import Network

_LONGEST_USER_AGENT = 500


def of(request: Request, trusted: tuple[Network, ...]) -> str | None:
    """The address of the client, walking X-Forwarded-For from the right past trusted proxies."""
    address = request.client.host if request.client else None
    hops = request.headers.getlist("x-forwarded-for") if trusted else []
    forwarded = [hop.strip() for line in hops for hop in line.split(",")]
    while forwarded and _is_trusted(address, trusted) and _is_address(forwarded[-1]):
        address = forwarded.pop()
    return str(ip_address(address)) if address and _is_address(address) else None


def user_agent(request: Request) -> str | None:
    """What the client calls itself, cut to a sensible length and free of what cannot be stored."""
    text = request.headers.get("user-agent", "").replace("\x00", "")
    return text[:_LONGEST_USER_AGENT] or None


def _is_trusted(address: str | None, trusted: tuple[Network, ...]) -> bool:
    return _is_address(address) and any(ip_address(str(address)) in network for network in trusted)


def _is_address(text: str | None) -> bool:
    try:
        ip_address(text or "")
    except ValueError:
        return False
    # The zone of a link-local address means nothing elsewhere, and may be any text of any length.
    return "%" not in str(text)
