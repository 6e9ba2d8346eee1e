"""A mail server that does what a test wants: takes mails, refuses them, or hangs."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

Reply = Callable[[str], str | None]
"""What is answered to a recipient or to the mail for it; None takes it."""


@dataclass
class MailServer:
    """`received` are pairs of the envelope's recipients and the mail, in their order."""

    received: list[tuple[list[str], bytes]] = field(default_factory=list)
    to_recipient: Reply = lambda _: None
    to_data: Reply = lambda _: None
    hangs_for: Callable[[str], float] = lambda _: 0.0
    port: int = 0

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if seconds := self.hangs_for(address):
            await asyncio.sleep(seconds)
        if reply := self.to_recipient(address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        recipients = [str(address) for address in envelope.rcpt_tos]
        if reply := self.to_data(recipients[0]):
            return reply
        self.received.append((recipients, envelope.original_content or b""))
        return "250 OK"

    @property
    def recipients(self) -> list[str]:
        """Those of all mails that were taken."""
        return [address for recipients, _ in self.received for address in recipients]


class Authority:
    """Certificates for a test, which only those trust who are given `cafile`."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.cafile = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.cafile)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)


class _Controller(Controller):
    """Listens on a port that was free."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def serve(
    server: MailServer, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[MailServer]:
    """Listen on a free port of this machine until the block ends."""
    controller = _Controller(
        server,
        hostname="127.0.0.1",
        port=0,
        tls_context=starttls,
        require_starttls=starttls is not None,
        ssl_context=tls,
        ready_timeout=30,
    )
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()
