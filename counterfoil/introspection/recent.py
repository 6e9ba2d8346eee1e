"""A cache of answers, for as long as an application accepts that they are stale.

Off unless an application asks for it: with it, a revocation holds only once the answer is too old.
"""

from collections import OrderedDict
from typing import NamedTuple

from counterfoil import tokens
from counterfoil.identity import Identity, SessionKind

MAX_ANSWERS = 10_000


class Question(NamedTuple):
    """What is asked of the service."""

    token: str
    session_kind: SessionKind


# A question, without the token itself.
_Key = tuple[bytes, SessionKind]


class _Answer(NamedTuple):
    identity: Identity
    good_until: float


class RecentAnswers:
    """Live identities by what was asked. All times are those of one monotonic clock.

    Only live ones: that a token is not active is asked anew each time. An answer counts from when
    the question was sent, and ends with its token by the clock of the database.
    """

    def __init__(self, max_staleness_seconds: float) -> None:
        self._max_staleness_seconds = max_staleness_seconds
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()

    def find(self, question: Question, now: float) -> Identity | None:
        """The identity that was live when it was asked for, if that is not too long ago."""
        if not self._answers:
            return None
        key = _key(question)
        found = self._answers.get(key)
        if found is None:
            return None
        if now >= found.good_until:
            del self._answers[key]
            return None
        return found.identity

    def keep(self, question: Question, identity: Identity | None, asked_at: float) -> None:
        """Remember the answer to a question that was sent at `asked_at`."""
        if not self._max_staleness_seconds:
            return
        key = _key(question)
        self._answers.pop(key, None)
        if identity is None:
            return
        seconds = self._max_staleness_seconds
        if identity.expires_at is not None:
            seconds = min(seconds, identity.expires_at - identity.looked_up_at)
        self._answers[key] = _Answer(identity, asked_at + seconds)
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)


def _key(question: Question) -> _Key:
    return tokens.digest(question.token), question.session_kind
