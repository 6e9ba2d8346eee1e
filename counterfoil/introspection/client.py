"""Asks the service's introspection endpoint about one token, over connections that are kept open.

Follows no redirect, uses no proxy and reads no variable of the environment: what is not the answer
of the service itself at this address is no answer. It sets no deadline; its caller does.
"""

import asyncio
import ssl
from urllib.parse import quote

import h11

from counterfoil import __version__
from counterfoil.errors import IntrospectionUnavailable
from counterfoil.identity import Identity, SessionKind
from counterfoil.introspection import answer
from counterfoil.introspection.connection import (
    BadResponse,
    Connection,
    ConnectionLost,
    Response,
)
from counterfoil.introspection.endpoint import Endpoint
from counterfoil.lookup import dns

# Firewalls forget idle connections after a minute or more, often without telling either side.
MAX_IDLE_SECONDS = 30.0


class OwnCredentialRejected(IntrospectionUnavailable):
    """The API key that this application was configured with does not open the endpoint."""


class Client:
    """Belongs to the event loop that it is used on.

    `attempt_seconds` bounds connecting to one address of several, so that the next one gets a turn.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        api_key: str,
        *,
        attempt_seconds: float,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._endpoint = endpoint
        self._attempt_seconds = attempt_seconds
        self._ssl_context = ssl_context
        self._headers = [
            ("Host", endpoint.authority),
            ("Authorization", f"Bearer {api_key}"),
            ("User-Agent", f"counterfoil/{__version__}"),
            ("Accept", "application/json"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []

    async def introspect(self, token: str, session_kind: SessionKind) -> Identity | None:
        """The identity behind a token. None if the service says that it is not active.

        Raises IntrospectionUnavailable for everything else.
        """
        # A foreign token may hold any character.
        form = f"token={quote(token, safe='')}"
        if session_kind is not SessionKind.API:
            form += f"&{answer.SESSION_KIND}={session_kind}"
        try:
            response = await self._post(form.encode())
        except (OSError, ConnectionLost, BadResponse) as error:
            # The error of a timeout has no text.
            reason = str(error) or "connecting takes too long"
            raise IntrospectionUnavailable(f"no answer: {reason}") from error
        return _read(response, session_kind)

    def close(self) -> None:
        """Close every connection; what is in flight fails."""
        for connection in self._open:
            connection.abort()
        self._open.clear()
        self._idle.clear()

    async def _post(self, form: bytes) -> Response:
        if (connection := self._take_idle()) is not None:
            try:
                return await self._post_on(connection, form)
            except ConnectionLost as lost:
                if not lost.unanswered:
                    raise
        return await self._post_on(await self._connect(), form)

    async def _post_on(self, connection: Connection, form: bytes) -> Response:
        length = ("Content-Length", str(len(form)))
        request = h11.Request(
            method="POST", target=self._endpoint.path, headers=[*self._headers, length]
        )
        try:
            return await connection.post(request, form)
        finally:
            if connection.is_idle:
                self._idle.append(connection)
            else:
                self._open.discard(connection)

    def _take_idle(self) -> Connection | None:
        """The connection that was used last. Those that are closed or too old are dropped."""
        oldest = self._loop.time() - MAX_IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle and connection.idle_since >= oldest:
                return connection
            connection.abort()
            self._open.discard(connection)
        return None

    async def _connect(self) -> Connection:
        failure: OSError = OSError("the name has no address")
        for address in await dns.addresses(self._endpoint.host):
            try:
                async with asyncio.timeout(self._attempt_seconds):
                    return await self._connect_to(address)
            except OSError as error:
                failure = error
        raise failure

    async def _connect_to(self, address: str) -> Connection:
        _, connection = await self._loop.create_connection(
            Connection,
            address,
            self._endpoint.port,
            ssl=self._ssl_context,
            server_hostname=self._endpoint.host if self._ssl_context else None,
        )
        self._open.add(connection)
        return connection


def _read(response: Response, session_kind: SessionKind) -> Identity | None:
    if response.status in (401, 403):
        raise OwnCredentialRejected(
            f"the service rejects the API key of this application ({response.status}): it must be"
            " live and have the scope introspect"
        )
    if response.status != 200:
        raise IntrospectionUnavailable(f"the service answered {response.status}")
    if response.media_type != "application/json":
        raise IntrospectionUnavailable("the answer is not JSON: is this the service?")
    try:
        return answer.read(response.body, session_kind=session_kind)
    except answer.UnexpectedAnswer as error:
        raise IntrospectionUnavailable(f"not an answer of the service: {error}") from error
