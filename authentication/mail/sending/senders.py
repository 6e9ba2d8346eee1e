"""Hands a mail to a mail server, or writes it to a file."""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import aiosmtplib
from aiosmtplib import SMTP

from authentication.mail.sending.letters import Envelope
from authentication.mail.servers import FileTarget, Security, SmtpServer

# Of a mail as a whole, so that a server that answers each command slowly cannot outlast a lease.
MAIL_SECONDS = 20.0
_FIRST_PERMANENT = 500


class SendingFailed(Exception):
    """`code` is short and stable; `is_final` says that no later attempt can succeed.

    The message is for the log, and holds nothing of the mail.
    """

    def __init__(self, code: str, reason: str, *, is_final: bool = False) -> None:
        self.code = code
        self.is_final = is_final
        super().__init__(reason)


class Sender(Protocol):
    """Sends mails one after the other. Belongs to one task."""

    async def send(self, envelope: Envelope) -> None:
        """Raises SendingFailed."""

    async def close(self) -> None:
        """Ends the connection, if there is one."""


def create(target: SmtpServer | FileTarget, *, timeout_seconds: float) -> Sender:
    """A sender of its own for the task that calls this."""
    if isinstance(target, FileTarget):
        return FileSender(target.directory)
    return SmtpSender(target, timeout_seconds=timeout_seconds)


class FileSender:
    """Writes each mail to a file of its own, which only its owner can read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, envelope: Envelope) -> None:
        try:
            await asyncio.to_thread(self._write, envelope.message.as_bytes())
        except OSError as error:
            raise SendingFailed("file", f"the mail cannot be written: {error.strerror}") from None

    async def close(self) -> None:
        pass

    def _write(self, content: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{uuid4()}.part"
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
        path.rename(path.with_suffix(".eml"))


class SmtpSender:
    """Keeps a connection from one mail to the next."""

    def __init__(self, server: SmtpServer, *, timeout_seconds: float) -> None:
        self._server = server
        self._timeout = timeout_seconds
        self._connection: SMTP | None = None

    async def send(self, envelope: Envelope) -> None:
        try:
            async with asyncio.timeout(MAIL_SECONDS):
                await self._send(envelope)
        except TimeoutError:
            self._drop()
            raise SendingFailed("timeout", "the mail server takes too long") from None
        except SendingFailed:
            raise
        except BaseException:
            self._drop()
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_connected:
            transport = connection.transport
            with suppress(aiosmtplib.SMTPException, OSError):
                await connection.quit()
            # Nothing is left to be sent; TLS would wait for the server to say goodbye as well.
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
                await asyncio.sleep(0)

    async def _send(self, envelope: Envelope) -> None:
        connection = await self._connected()
        try:
            # The recipient is given, as aiosmtplib would take it from To, Cc and Bcc.
            await connection.send_message(
                envelope.message, sender=envelope.sender, recipients=[envelope.recipient]
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            failure = _failure(error)
            if not failure.is_final:
                self._drop()
            raise failure from None

    async def _connected(self) -> SMTP:
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        self._drop()
        connection = SMTP(
            hostname=self._server.host,
            port=self._server.port,
            timeout=self._timeout,
            # By default, its full name is looked up, which blocks.
            local_hostname=socket.gethostname(),
            use_tls=self._server.security is Security.TLS,
            # None would send in the clear where a server, or somebody before it, offers no TLS.
            start_tls=self._server.security is Security.STARTTLS,
            tls_context=None
            if self._server.security is Security.NONE
            else _trusting(self._server.cafile),
            username=self._server.user,
            password=self._server.password,
        )
        try:
            await connection.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            connection.close()
            raise _failure(error) from None
        self._connection = connection
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@cache
def _trusting(cafile: str | None) -> ssl.SSLContext:
    """Demands a certificate that these authorities, or those of the system, vouch for."""
    return ssl.create_default_context(cafile=cafile)


def _failure(error: Exception) -> SendingFailed:
    """What is final is what a server says of the recipient or the mail, and not of the sender."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            code = error.recipients[0].code
            return SendingFailed(
                f"smtp_{code}", f"the recipient is refused: {code}", is_final=_is_permanent(code)
            )
        case aiosmtplib.SMTPDataError():
            return SendingFailed(
                f"smtp_{error.code}",
                f"the mail is refused: {error.code}",
                is_final=_is_permanent(error.code),
            )
        case aiosmtplib.SMTPNotSupported():
            # Also if only somebody between us and the server has removed what it offers.
            return SendingFailed("not_supported", str(error))
        case aiosmtplib.SMTPResponseException():
            return SendingFailed(f"smtp_{error.code}", f"the mail server says {error.code}")
        case aiosmtplib.SMTPTimeoutError():
            return SendingFailed("timeout", "the mail server takes too long")
    cause = error.__cause__ or error
    if isinstance(error, ssl.SSLError) or isinstance(cause, ssl.SSLError):
        return SendingFailed("tls", f"the connection cannot be trusted: {cause}")
    if "STARTTLS" in str(error):
        return SendingFailed("tls", str(error))
    return SendingFailed("connection", str(error) or type(error).__name__)


def _is_permanent(code: int) -> bool:
    return code >= _FIRST_PERMANENT
