"""Keeps recent rejections, counts of unknown tokens and of changes in the memory of one worker.

None of them costs a query. A rejection is kept for so short a time that no client is rejected for
longer than by the counters in the database; guesses at 256-bit tokens need no exact count.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from authentication.audit import Origin
from authentication.errors import TooManyAttempts
from authentication.settings import AuthenticationSettings
from authentication.throttling.counting import Exceeded, longest_retry_after
from authentication.throttling.limits import WIDE_FACTOR

_REJECTION_SECONDS = 1.0
# While one attempt is counted again. The others would all be counted at once, and be rejected too.
_RECOUNT_SECONDS = 0.25
_WINDOW_SECONDS = 60.0
_USER_CODE_SECONDS = 600.0
_MAX_ENTRIES = 10_000
_SCAN_SECONDS = 1.0
# Of unknown tokens, past the limit: until then real tokens from the same network are still found.
_FLOOD_FACTOR = 5

Clock = Callable[[], float]
"""Returns seconds since an arbitrary moment."""


class _Entry(NamedTuple):
    value: int
    ends_at: float
    is_recounted: bool = False


class _Memory:
    """A bounded number of entries, each of which expires, in the order in which they are written.

    If it is full, those that have expired go first, and then the one that was written longest ago.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}
        self._scan_at = clock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, *key: str) -> _Entry | None:
        entry = self.get_also_ended(*key)
        return entry if entry is not None and entry.ends_at > self._clock() else None

    def get_also_ended(self, *key: str) -> _Entry | None:
        return self._entries.get(_digest(key))

    def put(self, *key: str, value: int, ends_at: float, is_recounted: bool = False) -> None:
        digest = _digest(key)
        # Written anew, so that it becomes the last: a flood must not push out its own count.
        self._entries.pop(digest, None)
        if len(self._entries) >= _MAX_ENTRIES:
            self._remove_one()
        self._entries[digest] = _Entry(value, ends_at, is_recounted)

    def _remove_one(self) -> None:
        now = self._clock()
        # Not for each entry: looking through all of them takes a millisecond.
        if now >= self._scan_at:
            self._scan_at = now + _SCAN_SECONDS
            kept = {key: entry for key, entry in self._entries.items() if entry.ends_at > now}
            self._entries = kept
        if len(self._entries) >= _MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]


class RecentRejections:
    """Logins that were rejected a moment ago, so that the same ones need not be counted again."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._memory = _Memory(clock)

    def add(
        self, name: str, network: str | None, exceeded: Sequence[Exceeded], *, is_known: bool
    ) -> None:
        """Keeps the rejection of a login. `is_known`: its user has logged in from there before.

        If not, the rejection applies to all other clients that try the same account, or that come
        from the same network, whichever has exceeded its limit.
        """
        self._put("login", name, network or "", seconds=longest_retry_after(exceeded))
        if is_known:
            return
        of_network = [one for one in exceeded if one.limit.is_of_network]
        of_account = [one for one in exceeded if not one.limit.is_of_network]
        if of_network:
            self._put("network", network or "", seconds=longest_retry_after(of_network))
        if of_account:
            self._put("account", name, seconds=longest_retry_after(of_account))

    def find(self, name: str, network: str | None) -> TooManyAttempts | None:
        """The rejection of this very login."""
        return self._find("login", name, network or "")

    def find_for_unknown(self, name: str, network: str | None) -> TooManyAttempts | None:
        """The rejection of any untrusted login to the account or from the network."""
        return self._find("network", network or "") or self._find("account", name)

    def _put(self, *key: str, seconds: int) -> None:
        self._memory.put(*key, value=seconds, ends_at=self._clock() + _REJECTION_SECONDS)

    def _find(self, *key: str) -> TooManyAttempts | None:
        """The rejection. Once it has ended, the first who asks gets none, and is counted again."""
        entry = self._memory.get_also_ended(*key)
        if entry is None:
            return None
        now = self._clock()
        if entry.ends_at > now:
            return TooManyAttempts(entry.value)
        left = int(entry.value - _REJECTION_SECONDS - (now - entry.ends_at))
        if left > 0 and not entry.is_recounted:
            ends_at = now + _RECOUNT_SECONDS
            self._memory.put(*key, value=left, ends_at=ends_at, is_recounted=True)
        return None


class UnknownTokenCounter:
    """Counts the unknown tokens that a client sends in a minute."""

    def __init__(self, *, is_on: bool = True, clock: Clock = time.monotonic) -> None:
        self._is_on = is_on
        self._clock = clock
        self._memory = _Memory(clock)
        # Apart, because the many networks of one site must not push out the count of the site.
        self._wide_memory = _Memory(clock)

    def count(self, *key: str, limit: int) -> None:
        """Counts an unknown token. Raises TooManyAttempts past the limit.

        Call it only when a lookup has found nothing: then no number of made-up tokens can cause the
        rejection of a real one.
        """
        self._count(self._memory, *key, limit=limit)

    def _count(self, memory: _Memory, *key: str, limit: int) -> None:
        if not self._is_on:
            return
        entry = memory.get(*key)
        count = entry.value + 1 if entry else 1
        ends_at = entry.ends_at if entry else self._clock() + _WINDOW_SECONDS
        memory.put(*key, value=count, ends_at=ends_at)
        if count > limit:
            raise self._rejection(ends_at)

    def count_in(self, kind: str, origin: Origin, *, limit: int) -> None:
        """The same for the network of a client: an IPv4 address, or a /64 of IPv6 and its /48."""
        rejections = []
        for memory, network, most in self._networks(origin, limit):
            try:
                self._count(memory, kind, network, limit=most)
            except TooManyAttempts as rejection:
                rejections.append(rejection)
        if rejections:
            raise max(rejections, key=lambda one: one.retry_after_seconds)

    def reject_flood(self, kind: str, origin: Origin, *, limit: int) -> None:
        """Raises TooManyAttempts for a network that has sent several times more than the limit.

        To be called before the lookup: from such a network, not even real tokens are looked up.
        """
        for memory, network, most in self._networks(origin, limit):
            entry = memory.get(kind, network)
            if entry is not None and entry.value >= _FLOOD_FACTOR * most:
                raise self._rejection(entry.ends_at)

    def _networks(self, origin: Origin, limit: int) -> list[tuple[_Memory, str, int]]:
        """The networks of a client, each with its limit. All clients without an address are one."""
        networks = [(self._memory, origin.network or "", limit)]
        if origin.wide_network is not None:
            networks.append((self._wide_memory, origin.wide_network, WIDE_FACTOR * limit))
        return networks

    def _rejection(self, ends_at: float) -> TooManyAttempts:
        return TooManyAttempts(max(1, round(ends_at - self._clock())))


class Allowance:
    """Limits how often something may happen in a period, for each of several keys, in memory."""

    def __init__(self, *, seconds: float, clock: Clock = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._memory = _Memory(clock)

    def take(self, limits: Mapping[str, int]) -> float | None:
        """Count one for each of the keys.

        If one of them has reached its limit, nothing is counted, and the seconds are returned until
        it may happen again.
        """
        found = {key: self._memory.get(key) for key in limits}
        ends = [one.ends_at for key, one in found.items() if one and one.value >= limits[key]]
        if ends:
            return max(ends) - self._clock()
        for key, entry in found.items():
            ends_at = entry.ends_at if entry else self._clock() + self._seconds
            self._memory.put(key, value=entry.value + 1 if entry else 1, ends_at=ends_at)
        return None


class WriteBudget:
    """Limits how many changes one account, session or API key may make in a minute.

    Each change leaves a row in the audit log, and some leave more.
    """

    def __init__(self, settings: AuthenticationSettings, *, clock: Clock = time.monotonic) -> None:
        self._is_on = settings.login_throttle
        self._limit = settings.writes_per_minute
        self._allowance = Allowance(seconds=_WINDOW_SECONDS, clock=clock)

    def charge(
        self, user_id: int, credential_id: UUID | None, *, credential_only: bool = False
    ) -> None:
        """Count a change by a session or API key. Raises TooManyAttempts past the limit.

        With `credential_only` it does not count for the account: revocations, and what they need.
        Somebody who has stolen another credential of the account must not be able to prevent them.
        """
        keys = [f"credential {credential_id}"]
        if not credential_only:
            keys.append(f"user {user_id}")
        self._charge(keys)

    def charge_login(self, user_id: int) -> None:
        """Count a login with the right password. Raises TooManyAttempts past the limit.

        Apart from other changes: somebody who has stolen a session must not be able to prevent it.
        """
        self._charge([f"login {user_id}"])

    def charge_client(self, client_id: str) -> None:
        """Count a token that a client gets for its own account. Raises TooManyAttempts."""
        self._charge([f"client {client_id}"])

    def _charge(self, keys: Sequence[str]) -> None:
        if not self._is_on:
            return
        seconds = self._allowance.take(dict.fromkeys(keys, self._limit))
        if seconds is not None:
            raise TooManyAttempts(max(1, round(seconds)))


class UserCodeBudget:
    """Limits how many codes of devices one account may enter, right or wrong.

    There are 25 billion codes, and each is good for ten minutes.
    """

    def __init__(self, settings: AuthenticationSettings, *, clock: Clock = time.monotonic) -> None:
        self._is_on = settings.login_throttle
        self._limit = settings.user_codes_per_account
        self._allowance = Allowance(seconds=_USER_CODE_SECONDS, clock=clock)

    def charge(self, user_id: int) -> None:
        """Count a code. Raises TooManyAttempts past the limit."""
        if not self._is_on:
            return
        seconds = self._allowance.take({f"user {user_id}": self._limit})
        if seconds is not None:
            raise TooManyAttempts(max(1, round(seconds)))


def _digest(key: tuple[str, ...]) -> bytes:
    # All keys have the same size, however long the names are that a client makes up.
    return sha256("\x00".join(key).encode()).digest()
