"""Clients that log in, use, refresh and log out all the time, and write down what they are told."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from faults.calls import Answer, Caller, register
from faults.history import History


@dataclass(slots=True)
class _Client:
    """One thread with one account."""

    url: str
    email: str
    pause: float
    history: History
    answers: list[Answer] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        with Caller(self.url) as caller:
            while not over.is_set():
                self._live_through_a_session(caller, over)

    def _live_through_a_session(self, caller: Caller, over: threading.Event) -> None:
        login = self._noted(caller.log_in(self.email))
        if login.status != 200:
            return
        tokens = self.history.issued(login)
        self._use(caller, tokens.access_token)
        if over.is_set():
            return
        refreshed = self._noted(caller.refresh(tokens.refresh_token))
        successor = self.history.rotated(tokens, refreshed)
        self._use(caller, tokens.access_token)
        if successor is None or over.is_set():
            return
        self._use(caller, successor.access_token)
        left = self._noted(caller.log_out(successor.access_token))
        self.history.revoked(successor, left)
        self._use(caller, successor.access_token)

    def _use(self, caller: Caller, access_token: str) -> None:
        answer = self._noted(caller.use(access_token))
        self.history.used(access_token, answer)

    def _noted(self, answer: Answer) -> Answer:
        self.answers.append(answer)
        time.sleep(self.pause)
        return answer


class Load:
    """Runs while the block does. The accounts are made before it begins."""

    def __init__(self, url: str, *, clients: int = 20, pause: float = 0.02) -> None:
        self.history = History()
        self._over = threading.Event()
        self._clients = [
            _Client(url, f"client{number}@example.org", pause, self.history)
            for number in range(clients)
        ]
        with Caller(url) as caller:
            for client in self._clients:
                register(caller, client.email)
        self._threads = [
            threading.Thread(target=client.run, args=(self._over,)) for client in self._clients
        ]

    @property
    def answers(self) -> Sequence[Answer]:
        """In the order in which they were asked for."""
        every = [answer for client in self._clients for answer in client.answers]
        return sorted(every, key=lambda answer: answer.began)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
