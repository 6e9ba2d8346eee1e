"""Who passkeys are made for: a domain, and the pages and apps that may ask for a signature."""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from authentication.settings import AuthenticationSettings

_LOCAL_NAME = "localhost"
# Browsers leave them out.
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """`id` is the domain. `origins` are compared as a whole: no other subdomain is accepted."""

    id: str
    origins: frozenset[str]

    @classmethod
    def of(cls, settings: AuthenticationSettings, public_url: str) -> Self:
        """That of a service with this public URL.

        No browser makes passkeys for an IP address. If the URL has one of this machine, which is
        so in development, they are made for pages under the name `localhost`.
        """
        url = urlsplit(public_url)
        host = _LOCAL_NAME if _is_loopback_address(url.hostname or "") else url.hostname or ""
        port = "" if url.port in {None, _DEFAULT_PORTS.get(url.scheme)} else f":{url.port}"
        own = f"{url.scheme}://{host}{port}"
        return cls(settings.passkey_rp_id or host, frozenset([own, *settings.passkey_origins]))

    @property
    def id_hash(self) -> bytes:
        """The form of the domain that authenticators sign."""
        return sha256(self.id.encode()).digest()


def _is_loopback_address(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
