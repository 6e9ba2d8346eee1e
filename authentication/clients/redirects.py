"""Says which redirect addresses a client may register, and which of them a request names.

An address has to be exactly the one that is registered (RFC 9700, 2.1). Only the port of a loopback
address may differ, because a program on the user's computer takes one that is free (RFC 8252, 7.3).
"""

import re
from collections.abc import Iterable
from urllib.parse import urlencode

from authentication.errors import InvalidField

MAX_LENGTH = 2000
MAX_NUMBER = 20

_PRINTABLE = re.compile(r"[!-~]+")
_FORBIDDEN = re.compile(r"[\"#*<>\\^`{|}]|%(?![0-9A-Fa-f]{2})|%(?:2e|5c|0[0-9a-f]|1[0-9a-f])", re.I)
_WEB = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?(/.*|\?.*)?")
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/[^@]*")
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([1-9][0-9]{0,4}))?((?:/.*|\?.*)?)")
_LOCAL_HOSTS = {"127.0.0.1", "[::1]", "localhost"}
_MAX_PORT = 65_535


def check(address: str) -> None:
    """Raises InvalidField for an address that cannot be registered."""
    if len(address) > MAX_LENGTH or not _is_clean(address):
        raise _invalid(
            "must be an absolute address without fragment, wildcard and escapes like %2e"
        )
    web = _WEB.fullmatch(address)
    if web is None:
        if _PRIVATE_USE.fullmatch(address) is None:
            raise _invalid("needs https, a loopback address, or a scheme with a dot in it")
    elif int(web[3] or 1) > _MAX_PORT:
        raise _invalid("has a port that does not exist")
    elif web[1] == "http" and web[2] not in _LOCAL_HOSTS:
        raise _invalid("must use https, unless it is of this computer")


def is_registered(address: str, registered: Iterable[str]) -> bool:
    """Whether a request may name this address."""
    known = set(registered)
    if address in known:
        return True
    loopback = _LOOPBACK.fullmatch(address)
    if loopback is None or int(loopback[2] or 1) > _MAX_PORT:
        return False
    return any(
        (one := _LOOPBACK.fullmatch(other)) is not None
        and (one[1], one[3]) == (loopback[1], loopback[3])
        for other in known
    )


def is_of_native_app(address: str) -> bool:
    """Whether any program on the user's device could receive what is sent there."""
    return not address.startswith("https://")


def with_parameters(address: str, **parameters: str | None) -> str:
    """The address with parameters added to its query; those that are None are left out."""
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    if "?" not in address:
        return f"{address}?{added}"
    return f"{address}{'' if address.endswith(('?', '&')) else '&'}{added}"


def _is_clean(address: str) -> bool:
    if _PRINTABLE.fullmatch(address) is None or _FORBIDDEN.search(address):
        return False
    path = address.partition("?")[0]
    return not any(part in {".", ".."} for part in path.split("/"))


def _invalid(detail: str) -> InvalidField:
    return InvalidField("redirect_uris", f"A redirect address {detail}.")
