"""Reads where mails are sent to, and from whom, as settings say it."""

from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

from authentication.emails import to_deliverable

_SCHEMES = "smtps://, smtp+starttls://, smtp+plain:// or file:"


class Security(StrEnum):
    """How a connection is encrypted. Never "if the server offers it"."""

    TLS = "smtps"
    STARTTLS = "smtp+starttls"
    NONE = "smtp+plain"


_PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}


class SmtpServer(NamedTuple):
    """A mail server. `cafile` are the certificates to trust, None for those of the system."""

    security: Security
    host: str
    port: int
    user: str | None = None
    password: str | None = None
    cafile: str | None = None


class FileTarget(NamedTuple):
    """A directory in which each mail becomes a file."""

    directory: Path


def parse_url(text: str) -> SmtpServer | FileTarget:
    """Raises ValueError, which does not quote the text: it may hold a password."""
    if text.startswith("file:"):
        return FileTarget(Path(text.removeprefix("file:").removeprefix("//") or "."))
    url = urlsplit(text)
    if url.scheme not in set(Security):
        raise ValueError(f"must begin with {_SCHEMES}")
    try:
        port = url.port
    except ValueError:
        raise ValueError("the port is no number") from None
    if not url.hostname or url.path not in {"", "/"}:
        raise ValueError("must name a host, and nothing after it")
    options = parse_qs(url.query, keep_blank_values=True)
    if set(options) - {"cafile"}:
        raise ValueError("the only option is cafile")
    security = Security(url.scheme)
    return SmtpServer(
        security,
        url.hostname,
        port or _PORTS[security],
        unquote(url.username) if url.username else None,
        unquote(url.password) if url.password is not None else None,
        options["cafile"][0] if options else None,
    )


def parse_sender(text: str) -> Address:
    """A name and an address. Raises ValueError."""
    name, address = parseaddr(text)
    try:
        checked = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise ValueError("MAIL_FROM must be like `Example <no-reply@example.org>`") from None
    return Address(name, addr_spec=f"{checked.local_part}@{checked.ascii_domain}")


def parse_recipient(address: str) -> Address:
    """The only recipient of a mail. Raises ValueError for what cannot be one."""
    deliverable = to_deliverable(address)
    if deliverable is None:
        raise ValueError("no mail can be sent to this address")
    if deliverable.isascii() or deliverable.startswith('"'):
        return Address(addr_spec=deliverable)
    # Parsing it as a whole would reject it, though many servers take such names (RFC 6531).
    name, _, domain = deliverable.rpartition("@")
    return Address(username=name, domain=domain)
