"""Records what the service has acknowledged, and finds contradictions to it (a test oracle).

A token that was revoked or replaced before a request began must not be accepted by it. A token that
was issued, and neither revoked nor replaced, must be accepted. A refresh token is exchanged at most
once. An unsuccessful answer leaves the outcome open, so either is correct.
"""

import threading

from faults.calls import Answer, Caller, Tokens, read_tokens


class History:
    """The answers to all requests of a load. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revoked_at: dict[str, float] = {}
        self._live: set[Tokens] = set()
        self._revoked: list[Tokens] = []
        self._exchanges: dict[str, int] = {}
        self.violations: list[str] = []
        """Descriptions of what must not happen, but did."""

    @property
    def revocations(self) -> int:
        """The number of acknowledged revocations."""
        return len(self._revoked)

    def issued(self, answer: Answer) -> Tokens:
        tokens = read_tokens(answer)
        with self._lock:
            self._live.add(tokens)
        return tokens

    def rotated(self, tokens: Tokens, answer: Answer) -> Tokens | None:
        """Record a refresh. Returns the new pair, or None if it was not successful."""
        with self._lock:
            self._live.discard(tokens)
        if answer.status != 200:
            return None
        with self._lock:
            self._revoked_at[tokens.access_token] = answer.ended
            self._exchanges[tokens.refresh_token] = self._exchanges.get(tokens.refresh_token, 0) + 1
            if self._exchanges[tokens.refresh_token] > 1:
                self.violations.append("a refresh token was exchanged twice")
        return self.issued(answer)

    def revoked(self, tokens: Tokens, answer: Answer) -> None:
        """Record a logout, or another revocation of the session of these tokens."""
        with self._lock:
            self._live.discard(tokens)
            if answer.status in {200, 204}:
                self._revoked_at[tokens.access_token] = answer.ended
                self._revoked.append(tokens)

    def used(self, access_token: str, answer: Answer) -> None:
        """Record a request with this token."""
        with self._lock:
            revoked_at = self._revoked_at.get(access_token)
            if answer.status == 200 and revoked_at is not None and answer.began > revoked_at:
                self.violations.append("a token was accepted after its revocation")

    def find_violations(self, url: str) -> list[str]:
        """Try all tokens once more after the load has ended. Returns all violations."""
        with Caller(url) as caller:
            for token in self._revoked_at:
                if (status := caller.use(token).status) != 401:
                    self.violations.append(f"a revoked access token got {status}")
            for tokens in self._revoked:
                if (status := caller.refresh(tokens.refresh_token).status) != 400:
                    self.violations.append(f"the refresh token of a revoked session got {status}")
            for tokens in self._live:
                if (status := caller.use(tokens.access_token).status) != 200:
                    self.violations.append(f"a live access token got {status}")
        return self.violations
