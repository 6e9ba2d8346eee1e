"""How many attempts may fail, and the counters in the database that all workers share.

An attempt is counted before a password is hashed, by one statement: guesses sent in parallel cannot
slip past. A success gives its attempt back.

A user who comes from a network that they have logged in from before has limits of their own, which
nobody else can use up. An account that does not exist is throttled like one that does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.settings import DAY, AuthenticationSettings
from database import queries
from database.queries.throttle_counters import Count, CounterKey

# Failures in a row on an account are kept until its user logs in. Those on a name that is nobody's
# are not kept for ever, as clients can make up any number of names.
_UNKNOWN_ACCOUNT_SECONDS = 7 * DAY
# For a limit that does not end by itself.
_RETRY_AFTER_SECONDS = DAY


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts may fail, counted under a key. `name` is how the audit log calls it."""

    name: str
    maximum: int
    key: CounterKey
    is_consecutive: bool = False
    is_of_network: bool = False


class Exceeded(NamedTuple):
    """A limit that an attempt exceeds. `attempts` includes this one."""

    limit: Limit
    attempts: int
    retry_after_seconds: int


def for_account(
    settings: AuthenticationSettings, kind: str, user_id: int | None, *key: str
) -> list[Limit]:
    """So many in a window, and so many in a row however slowly (NIST SP 800-63B-4, 3.2.2)."""
    return [
        Limit(
            f"{kind} attempts per account",
            settings.login_attempts_per_account,
            CounterKey(_digest("window", kind, *key), user_id, settings.login_window_seconds),
        ),
        Limit(
            f"{kind} failures in a row",
            settings.login_failures_per_account,
            CounterKey(
                _digest("in a row", kind, *key),
                user_id,
                _UNKNOWN_ACCOUNT_SECONDS if user_id is None else None,
            ),
            is_consecutive=True,
        ),
    ]


def for_network(settings: AuthenticationSettings, network: str) -> Limit:
    """Logins from a network, to all accounts of users who have not logged in from there before."""
    key = CounterKey(_digest("login", network), None, settings.login_window_seconds)
    maximum = settings.login_attempts_per_address
    return Limit("login attempts per address", maximum, key, is_of_network=True)


def for_registration(settings: AuthenticationSettings, network: str) -> Limit:
    """Registrations from a network."""
    key = CounterKey(_digest("register", network), None, settings.registration_window_seconds)
    return Limit("registrations per address", settings.registrations_per_address, key)


def count(db: Session, limits: Sequence[Limit], *, origin: Origin) -> list[Exceeded]:
    """Count an attempt. Returns the limits that it exceeds; if there are any, it must not be made.

    It is given back to those that it does not exceed. Nothing is raised, which would roll back the
    count and its audit event.
    """
    counts = queries.throttle_counters.increment(db, [limit.key for limit in limits])
    exceeded = [
        Exceeded(limit, found.attempts, _retry_after(limit, found))
        for limit in limits
        if (found := counts[limit.key.digest]).attempts > limit.maximum
    ]
    if exceeded:
        over = {one.limit for one in exceeded}
        give_back(db, [limit for limit in limits if limit not in over])
        _record(db, exceeded, origin)
    return exceeded


def give_back(db: Session, limits: Sequence[Limit]) -> None:
    """The attempt was not made after all. What failed before it still counts."""
    queries.throttle_counters.decrement(db, [limit.key for limit in limits])


def record_success(db: Session, limits: Sequence[Limit]) -> None:
    """The attempt succeeded: it is given back, and failures in a row are counted anew."""
    queries.throttle_counters.decrement(db, [limit.key for limit in limits], reset_consecutive=True)


def retry_after(exceeded: Sequence[Exceeded]) -> int:
    """Seconds until an attempt is within all of these limits again."""
    return max(one.retry_after_seconds for one in exceeded)


def _retry_after(limit: Limit, found: Count) -> int:
    """The same for an account that exists and for one that does not."""
    if limit.is_consecutive or found.seconds_left is None:
        return _RETRY_AFTER_SECONDS
    return max(1, math.ceil(found.seconds_left))


def _record(db: Session, exceeded: Sequence[Exceeded], origin: Origin) -> None:
    # Only what first exceeds a limit: a flood must not fill the audit log as well.
    first = [one.limit for one in exceeded if one.attempts == one.limit.maximum + 1]
    events = [
        (audit.user(limit.key.user_id) if limit.key.user_id else None, {"limit": limit.name})
        for limit in first
    ]
    audit.record_all(db, Event.ATTEMPTS_THROTTLED, events, origin=origin)


def _digest(*parts: str) -> bytes:
    return sha256("\x00".join(parts).encode()).digest()
