"""Resolves the credential of each request to an identity. Nothing is ever cached.

Natural batching keeps that cheap: while lookups are in flight, the tokens that arrive wait
together, and are sent as one query when a connection is free. No timer delays a request, and the
query for a token always starts after its request has arrived, so that it sees every revocation that
was committed before.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from counterfoil import budget, tokens
from counterfoil.errors import DatabaseUnavailable
from counterfoil.foreign_tokens import NO_FOREIGN_TOKENS, ForeignTokens
from counterfoil.identity import (
    CredentialKind,
    Identity,
    LiveCredential,
    SessionKind,
    from_credential,
)
from counterfoil.lookup import MAX_BATCH, Lookup
from counterfoil.tokens import TokenKind

log = logging.getLogger("counterfoil.lookup")

_KINDS = {
    TokenKind.ACCESS: CredentialKind.ACCESS_TOKEN,
    TokenKind.API_KEY: CredentialKind.API_KEY,
}

_TICK_SECONDS = 0.1
# A client that has just asked is likely to ask again.
_IN_DEMAND_SECONDS = 0.2


def credential_kind(token: str) -> CredentialKind | None:
    """The kind of credential, or None for what cannot be one, which needs no query."""
    kind = tokens.kind_of(token)
    return None if kind is None else _KINDS.get(kind)


class OnLookup(Protocol):
    """Called after each query, with its number of tokens and its duration in seconds."""

    def __call__(self, *, tokens: int, seconds: float, failed: bool) -> None: ...


def _ignore(*, tokens: int, seconds: float, failed: bool) -> None:
    """The default of `on_lookup`."""


class TokenResolver(Protocol):
    """What an application needs to know whose token it was sent, in either mode.

    Belongs to the event loop that it is started on. `max_staleness_seconds` is how old an answer
    may be, unless it is asked for `anew`.
    """

    max_staleness_seconds: float

    def start(self) -> None:
        """Connect in the background, if there is anything to connect to."""

    async def resolve(
        self, token: str, *, session_kind: SessionKind = SessionKind.API, anew: bool = False
    ) -> Identity | None:
        """The identity behind a token, if it is live. Raises Unavailable past the deadline."""

    async def close(self) -> None:
        """Disconnect."""


class _Waiter(NamedTuple):
    digest: bytes
    answer: asyncio.Future[LiveCredential | None]
    give_up_at: float

    def fail(self, reason: str) -> None:
        # One error for each waiter: a shared one would collect all their tracebacks.
        if not self.answer.done():
            self.answer.set_exception(DatabaseUnavailable(reason))


def _log_failure(opening: "asyncio.Task[None]") -> None:
    if not opening.cancelled() and (failure := opening.exception()) is not None:
        log.warning("cannot connect for token lookups: %s", failure)


class Resolver:
    """Belongs to the event loop it is opened on.

    `on_use` is called for each credential that is live, `on_lookup` after each query. They are
    called on the event loop, so they must neither wait nor raise. `foreign` are the imported tokens
    that are accepted.
    """

    max_staleness_seconds = 0.0

    def __init__(
        self,
        lookup: Lookup,
        *,
        deadline_seconds: float,
        on_use: Callable[[CredentialKind, LiveCredential], None] = lambda _kind, _found: None,
        on_lookup: OnLookup = _ignore,
        foreign: ForeignTokens = NO_FOREIGN_TOKENS,
    ) -> None:
        self._lookup = lookup
        self._foreign = foreign
        self._on_lookup = on_lookup
        self._deadline_seconds = deadline_seconds
        self._on_use = on_use
        self._queues: dict[CredentialKind, deque[_Waiter]] = {
            kind: deque() for kind in CredentialKind
        }
        self._in_flight: dict[asyncio.Future[list[LiveCredential]], list[_Waiter]] = {}
        self._send_is_due = False
        self._expiry: asyncio.TimerHandle | None = None
        self._last_asked = -math.inf
        self._opening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect in the background; tokens wait for it, within their deadlines."""
        self._loop = asyncio.get_running_loop()
        self._lookup.on_free = self._send
        self._opening = self._loop.create_task(self._lookup.open())
        self._opening.add_done_callback(_log_failure)

    async def open(self) -> None:
        """Connect. If the server cannot be reached, this is retried in the background."""
        self.start()
        if self._opening is not None:
            await self._opening

    async def close(self) -> None:
        """Wait for the lookups in flight, then disconnect. It need not have been opened."""
        if self._opening is not None:
            self._opening.cancel()
        while self._in_flight:
            await asyncio.wait(self._in_flight)
        self._fail_waiting(until=math.inf)
        await self._lookup.close()

    async def resolve(
        self,
        token: str,
        *,
        session_kind: SessionKind = SessionKind.API,
        anew: bool = True,  # noqa: ARG002 - every answer is
    ) -> Identity | None:
        """The identity behind an access token or an API key, if it is live at this moment.

        A token of a session of another kind is rejected like an unknown one.
        Raises DatabaseUnavailable past the deadline, never later.
        """
        kind = credential_kind(token)
        if kind is None:
            digest = self._foreign.digest(token)
            if digest is None:
                return None
            kind = CredentialKind.ACCESS_TOKEN
        else:
            digest = tokens.digest(token)
        began = self._last_asked = self._loop.time()
        found = await self._find(kind, digest)
        budget.charge(self._loop.time() - began)
        return self._identify(kind, found, session_kind)

    async def resolve_both(
        self, first: str, second: str, *, session_kind: SessionKind = SessionKind.API
    ) -> tuple[Identity | None, Identity | None]:
        """Resolve two credentials in one query, the second of a session of this kind.

        Raises as `resolve` does.
        """
        kinds = credential_kind(first), credential_kind(second)
        if kinds[0] is None or kinds[1] is None:
            return await self.resolve(first), await self.resolve(second, session_kind=session_kind)
        # Futures, because gather() would create a task for each coroutine.
        began = self._last_asked = self._loop.time()
        found = await asyncio.gather(
            self._find(kinds[0], tokens.digest(first)), self._find(kinds[1], tokens.digest(second))
        )
        budget.charge(self._loop.time() - began)
        return self._identify(kinds[0], found[0]), self._identify(kinds[1], found[1], session_kind)

    def _identify(
        self,
        kind: CredentialKind,
        found: LiveCredential | None,
        session_kind: SessionKind = SessionKind.API,
    ) -> Identity | None:
        if found is None or (found.session_kind or SessionKind.API) != session_kind:
            return None
        self._on_use(kind, found)
        return from_credential(kind, found)

    async def check(self) -> None:
        """Raises DatabaseUnavailable unless a token can be looked up right now."""
        await self._find(CredentialKind.ACCESS_TOKEN, bytes(32))

    def is_in_demand(self) -> bool:
        """Whether tokens are being looked up, or were in the last moment."""
        return self._loop.time() - self._last_asked < _IN_DEMAND_SECONDS

    def waiting(self) -> int:
        """How many tokens wait for a connection."""
        return sum(map(len, self._queues.values()))

    def _find(self, kind: CredentialKind, digest: bytes) -> asyncio.Future[LiveCredential | None]:
        if self._lookup.is_down():
            raise DatabaseUnavailable("no connection for token lookups")
        answer: asyncio.Future[LiveCredential | None] = self._loop.create_future()
        give_up_at = self._loop.time() + budget.remaining(self._deadline_seconds)
        self._queues[kind].append(_Waiter(digest, answer, give_up_at))
        # Sent once this turn of the loop is over, so that requests read together go together.
        if not self._send_is_due:
            self._send_is_due = True
            self._loop.call_soon(self._send)
        return answer

    def _send(self) -> None:
        self._send_is_due = False
        for kind, queue in self._queues.items():
            while queue and self._lookup.is_free():
                self._send_batch(kind, queue)
        if self._expiry is None and (self._in_flight or any(self._queues.values())):
            self._expiry = self._loop.call_later(_TICK_SECONDS, self._expire)

    def _send_batch(self, kind: CredentialKind, queue: deque[_Waiter]) -> None:
        waiters: list[_Waiter] = []
        digests: dict[bytes, None] = {}
        while queue and len(digests) < MAX_BATCH:
            waiter = queue.popleft()
            # The future is done if its request ran into its deadline or was cancelled.
            if not waiter.answer.done():
                waiters.append(waiter)
                digests[waiter.digest] = None
        if waiters:
            began = time.perf_counter()
            lookup = self._lookup.find(kind, list(digests))
            self._in_flight[lookup] = waiters
            lookup.add_done_callback(lambda done: self._receive(len(digests), began, done))

    def _receive(
        self, count: int, began: float, lookup: asyncio.Future[list[LiveCredential]]
    ) -> None:
        waiters = self._in_flight.pop(lookup)
        failure = lookup.exception()
        self._on_lookup(
            tokens=count, seconds=time.perf_counter() - began, failed=failure is not None
        )
        if failure is not None:
            for waiter in waiters:
                waiter.fail(str(failure))
            return
        found = {row.digest: row for row in lookup.result()}
        for waiter in waiters:
            if not waiter.answer.done():
                waiter.answer.set_result(found.get(waiter.digest))

    def _expire(self) -> None:
        self._expiry = None
        self._fail_waiting(until=self._loop.time())
        self._send()

    def _fail_waiting(self, *, until: float) -> None:
        """Fail those that have waited too long, in the queues and in flight.

        Their lookup goes on without them: it may have begun long after they arrived.
        """
        for waiters in (*self._queues.values(), *self._in_flight.values()):
            for waiter in waiters:
                if waiter.give_up_at <= until:
                    waiter.fail("no answer within the deadline")
        for queue in self._queues.values():
            while queue and queue[0].answer.done():
                queue.popleft()
