"""Clients that log in, use tokens, refresh and log out in a loop, and record the answers."""

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
    """A client with an account of its own, run by a thread."""

    url: str
    email: str
    pause: float
    history: History
    answers: list[Answer] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        with Caller(self.url) as caller:
            while not stop.is_set():
                self._run_session(caller, stop)

    def _run_session(self, caller: Caller, stop: threading.Event) -> None:
        login = self._record(caller.log_in(self.email))
        if login.status != 200:
            return
        tokens = self.history.issued(login)
        self._use(caller, tokens.access_token)
        if stop.is_set():
            return
        refreshed = self._record(caller.refresh(tokens.refresh_token))
        successor = self.history.rotated(tokens, refreshed)
        self._use(caller, tokens.access_token)
        if successor is None or stop.is_set():
            return
        self._use(caller, successor.access_token)
        logout = self._record(caller.log_out(successor.access_token))
        self.history.revoked(successor, logout)
        self._use(caller, successor.access_token)

    def _use(self, caller: Caller, access_token: str) -> None:
        answer = self._record(caller.use(access_token))
        self.history.used(access_token, answer)

    def _record(self, answer: Answer) -> Answer:
        self.answers.append(answer)
        time.sleep(self.pause)
        return answer


class Load:
    """Runs clients until the block ends. Their accounts are registered before it begins."""

    def __init__(self, url: str, *, clients: int = 20, pause: float = 0.02) -> None:
        self.history = History()
        self._stop = threading.Event()
        self._clients = [
            _Client(url, f"client{number}@example.org", pause, self.history)
            for number in range(clients)
        ]
        with Caller(url) as caller:
            for client in self._clients:
                register(caller, client.email)
        self._threads = [
            threading.Thread(target=client.run, args=(self._stop,)) for client in self._clients
        ]

    @property
    def answers(self) -> Sequence[Answer]:
        """All answers, in the order of their requests."""
        answers = [answer for client in self._clients for answer in client.answers]
        return sorted(answers, key=lambda answer: answer.began)

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
        self._stop.set()
        for thread in self._threads:
            thread.join()
