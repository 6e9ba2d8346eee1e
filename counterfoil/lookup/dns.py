"""Resolves the names of database hosts in threads, with a deadline."""

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

# libpq resolves names by a blocking call without a deadline, even in asynchronous mode. If the name
# server does not respond, it blocks one of these threads, and the callers have a deadline.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="names")


def resolve(options: dict[str, Any], *, seconds: float | None) -> dict[str, Any]:
    """Add the addresses of the hosts. Raises OSError, also when that takes longer."""
    if not _needs_resolving(options):
        return options
    return _threads.submit(_resolved, options).result(seconds)


async def resolve_async(options: dict[str, Any]) -> dict[str, Any]:
    """The same for code on an event loop, which sets the deadline itself."""
    if not _needs_resolving(options):
        return options
    return await asyncio.get_running_loop().run_in_executor(_threads, _resolved, options)


async def addresses(host: str) -> list[str]:
    """The addresses of one host, or itself if it is one. Raises OSError."""
    if not _is_name(host):
        return [host]
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_threads, lambda: list(_addresses(host, "")))
    return [address for _, address, _ in found]


def _needs_resolving(options: dict[str, Any]) -> bool:
    return "hostaddr" not in options and any(map(_is_name, _split(options.get("host"))))


def _resolved(options: dict[str, Any]) -> dict[str, Any]:
    hosts, ports = _split(options["host"]), _split(options.get("port"))
    if len(ports) != len(hosts):
        ports = (ports or [""]) * len(hosts)
    found = [row for host, port in zip(hosts, ports, strict=True) for row in _addresses(host, port)]
    # libpq takes three lists of equal length. It needs the names for certificates.
    host, hostaddr, port = (",".join(column) for column in zip(*found, strict=True))
    return {**options, "host": host, "hostaddr": hostaddr, "port": port}


def _addresses(host: str, port: str) -> Iterator[tuple[str, str, str]]:
    if not _is_name(host):
        yield host, "" if host.startswith(("/", "@")) else host, port
        return
    for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        yield host, str(address[0]), port


def _is_name(host: str) -> bool:
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _split(value: Any) -> list[str]:
    return str(value).split(",") if value else []
