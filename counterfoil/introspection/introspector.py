"""Resolves the credential of each request by asking the service. Fails closed.

Equal questions that wait for the same call share its answer, and only a call that has not begun can
be joined: an answer is never older than the request that it is for, unless a staleness is accepted.
"""

import asyncio
import logging
import math
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field

from counterfoil import budget
from counterfoil.errors import IntrospectionUnavailable
from counterfoil.foreign_tokens import NO_FOREIGN_TOKENS, ForeignTokens
from counterfoil.identity import Identity, SessionKind
from counterfoil.introspection.client import Client, OwnCredentialRejected
from counterfoil.introspection.endpoint import Endpoint
from counterfoil.introspection.recent import Question, RecentAnswers
from counterfoil.resolver import credential_kind

log = logging.getLogger("counterfoil.introspection")

# Whatever the number of requests, a cause is logged once in so many seconds.
_LOG_SECONDS = 60.0


@dataclass(slots=True)
class _Call:
    """One call that waits to begin, with the requests that get its answer."""

    question: Question
    answers: list["asyncio.Future[Identity | None]"] = field(default_factory=list)
    give_up_at: float = 0.0


class Introspector:
    """Belongs to the event loop that it is started on.

    At most `connections` calls are in flight. `ssl_context` is needed for an encrypted endpoint.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        api_key: str,
        *,
        deadline_seconds: float,
        connections: int = 10,
        max_staleness_seconds: float = 0.0,
        ssl_context: ssl.SSLContext | None = None,
        foreign: ForeignTokens = NO_FOREIGN_TOKENS,
    ) -> None:
        self._endpoint = endpoint
        self._api_key = api_key
        self._deadline_seconds = deadline_seconds
        self._connections = connections
        self._ssl_context = ssl_context
        self._foreign = foreign
        self.max_staleness_seconds = max_staleness_seconds
        self._recent = RecentAnswers(max_staleness_seconds)
        self._waiting: OrderedDict[Question, _Call] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()
        self._send_is_due = False
        self._logged_at: dict[type[Exception], float] = {}

    def start(self) -> None:
        """Nothing is sent before the first token."""
        self._loop = asyncio.get_running_loop()
        self._client = Client(
            self._endpoint,
            self._api_key,
            attempt_seconds=self._deadline_seconds / 3,
            ssl_context=self._ssl_context,
        )

    async def close(self) -> None:
        """Disconnect. What is waiting or in flight fails."""
        while self._waiting:
            self._fail(self._waiting.popitem()[1], _closed())
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._client.close()

    async def resolve(
        self, token: str, *, session_kind: SessionKind = SessionKind.API, anew: bool = False
    ) -> Identity | None:
        """The identity behind an access token or an API key, if it is live.

        `anew` takes no recent answer. Raises IntrospectionUnavailable past the deadline, or before.
        """
        if credential_kind(token) is None and self._foreign.digest(token) is None:
            return None
        question = Question(token, session_kind)
        if not anew and (known := self._recent.find(question, self._loop.time())) is not None:
            return known
        seconds = budget.remaining(self._deadline_seconds)
        try:
            async with asyncio.timeout(seconds):
                return await self._join(question, self._loop.time() + seconds)
        except TimeoutError:
            late = IntrospectionUnavailable("no answer within the deadline")
            self._log(late)
            raise late from None

    def _join(self, question: Question, give_up_at: float) -> "asyncio.Future[Identity | None]":
        answer: asyncio.Future[Identity | None] = self._loop.create_future()
        call = self._waiting.setdefault(question, _Call(question))
        call.answers.append(answer)
        call.give_up_at = max(call.give_up_at, give_up_at)
        # Sent once this turn of the loop is over, so that requests read together share a call.
        if not self._send_is_due:
            self._send_is_due = True
            self._loop.call_soon(self._send)
        return answer

    def _send(self) -> None:
        self._send_is_due = False
        while self._waiting and len(self._running) < self._connections:
            _, call = self._waiting.popitem(last=False)
            # The futures are done if their requests ran into their deadlines or were cancelled.
            if not all(answer.done() for answer in call.answers):
                task = self._loop.create_task(self._run(call))
                self._running.add(task)
                task.add_done_callback(self._finish)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._send()

    async def _run(self, call: _Call) -> None:
        began = self._loop.time()
        try:
            async with asyncio.timeout_at(call.give_up_at):
                identity = await self._client.introspect(*call.question)
        except TimeoutError:
            # Each request has a deadline of its own, which is over as well.
            return
        except asyncio.CancelledError:
            self._fail(call, _closed())
            raise
        except Exception as error:
            self._fail(call, error)
            return
        self._recent.keep(call.question, identity, began)
        for answer in call.answers:
            if not answer.done():
                answer.set_result(identity)

    def _fail(self, call: _Call, error: Exception) -> None:
        self._log(error)
        # One error for each request: a shared one would collect all their tracebacks.
        for answer in call.answers:
            if not answer.done():
                answer.set_exception(IntrospectionUnavailable(str(error)))

    def _log(self, error: Exception) -> None:
        now = self._loop.time()
        if now - self._logged_at.get(type(error), -math.inf) < _LOG_SECONDS:
            return
        self._logged_at[type(error)] = now
        level = logging.ERROR if isinstance(error, OwnCredentialRejected) else logging.WARNING
        unexpected = None if isinstance(error, IntrospectionUnavailable) else error
        log.log(level, "tokens cannot be checked: %s", error, exc_info=unexpected)


def _closed() -> IntrospectionUnavailable:
    return IntrospectionUnavailable("this application stops")
