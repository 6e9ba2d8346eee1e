"""The oracle: writes down what was acknowledged when, and finds what was broken afterwards.

What was revoked or replaced before a call began must not be honoured by that call. What was issued
and neither revoked nor replaced must still be there. A one-time secret has one winner. An answer
other than success leaves open what has become of a thing, so nothing is held against it.
"""

import threading

from faults.calls import Answer, Caller, Tokens, read_tokens


class History:
    """May be written to by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dead_since: dict[str, float] = {}
        self._live: set[Tokens] = set()
        self._ended: list[Tokens] = []
        self._winners: dict[str, int] = {}
        self.broken: list[str] = []
        """What must not have happened, in words."""

    @property
    def revocations(self) -> int:
        """How many were acknowledged."""
        return len(self._ended)

    @property
    def pending(self) -> int:
        """How many pairs are known to be live."""
        return len(self._live)

    def issued(self, answer: Answer) -> Tokens:
        tokens = read_tokens(answer)
        with self._lock:
            self._live.add(tokens)
        return tokens

    def rotated(self, tokens: Tokens, answer: Answer) -> Tokens | None:
        """Note a refresh. Returns the new pair, or None if there is none for certain."""
        with self._lock:
            self._live.discard(tokens)
        if answer.status != 200:
            return None
        with self._lock:
            self._dead_since[tokens.access_token] = answer.ended
            self._winners[tokens.refresh_token] = self._winners.get(tokens.refresh_token, 0) + 1
            if self._winners[tokens.refresh_token] > 1:
                self.broken.append("a refresh token was exchanged twice")
        return self.issued(answer)

    def revoked(self, tokens: Tokens, answer: Answer) -> None:
        """Note a logout, or whatever else was to end the session of these tokens."""
        with self._lock:
            self._live.discard(tokens)
            if answer.status in {200, 204}:
                self._dead_since[tokens.access_token] = answer.ended
                self._ended.append(tokens)

    def used(self, access_token: str, answer: Answer) -> None:
        """Note what became of a request with this token."""
        with self._lock:
            died = self._dead_since.get(access_token)
            if answer.status == 200 and died is not None and answer.began > died:
                self.broken.append("a token was honoured after its end was acknowledged")

    def judge(self, url: str) -> list[str]:
        """Try once more everything there is, when all is quiet. Returns what is broken."""
        with Caller(url) as caller:
            for token in self._dead_since:
                if (status := caller.use(token).status) != 401:
                    self.broken.append(f"a dead access token got {status}")
            for tokens in self._ended:
                if (status := caller.refresh(tokens.refresh_token).status) != 400:
                    self.broken.append(f"the refresh token of an ended session got {status}")
            for tokens in self._live:
                if (status := caller.use(tokens.access_token).status) != 200:
                    self.broken.append(f"a live access token got {status}")
        return self.broken
