"""Limits how often a password may be guessed, and how often other costly things may be asked for.

An attempt is counted before the password is hashed, by one statement, in the database that all
workers share: guesses sent in parallel cannot slip past. A success gives its attempt back.

Whoever logs in from an address that has logged in to the account before has an allowance of their
own, which no stranger can use up. An account that does not exist is throttled as one that does.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.emails import normalise_identifier
from authentication.errors import TooManyAttempts
from authentication.service import Service
from authentication.settings import DAY, AuthenticationSettings
from authentication.throttling.known_networks import digest_of, network_of
from database import queries
from database.models import User
from database.queries.throttle_counters import Count, CounterKey

_KNOWN_ADDRESSES_PER_USER = 20
# How long the failures on an account that does not exist are remembered. On one that does, until
# somebody logs in; but names that strangers make up must not be kept for ever.
_UNKNOWN_ACCOUNT_SECONDS = 7 * DAY
# What a client is told where a limit does not end by itself.
_RETRY_AFTER_SECONDS = DAY


@dataclass(frozen=True, slots=True)
class Counter:
    """What an attempt counts towards. `name` is how the audit log calls the limit."""

    name: str
    limit: int
    key: CounterKey
    is_consecutive: bool = False
    is_of_address: bool = False

    def is_exceeded_by(self, counts: Mapping[bytes, Count]) -> bool:
        count = counts.get(self.key.digest)
        return count is not None and count.attempts > self.limit

    def retry_after(self, counts: Mapping[bytes, Count]) -> int:
        """Seconds, the same for an account that exists and for one that does not."""
        left = counts[self.key.digest].seconds_left
        if self.is_consecutive or left is None:
            return _RETRY_AFTER_SECONDS
        return max(1, math.ceil(left))


def for_login(
    db: Session,
    settings: AuthenticationSettings,
    *,
    identifier: str,
    user: User | None,
    origin: Origin,
) -> tuple[list[Counter], bool]:
    """What a login counts towards, and whether it comes from a known address.

    `user` is None if the identifier is nobody's.
    """
    if not settings.login_throttle:
        return [], False
    user_id = user.id if user else None
    network = network_of(origin.ip)
    if network and queries.known_addresses.is_known(
        db, user_id=user_id or 0, digest=digest_of(user_id, network)
    ):
        return _for_account(settings, user_id, "login", str(user_id), network), True
    account = f"user {user_id}" if user else f"name {normalise_identifier(identifier)}"
    counters = _for_account(settings, user_id, "login", account)
    if network:
        counters.append(_for_address(settings, network))
    return counters, False


def for_password_check(settings: AuthenticationSettings, user_id: int) -> list[Counter]:
    """What counts when a user who is logged in gives the current password once more."""
    if not settings.login_throttle:
        return []
    return _for_account(settings, user_id, "password", str(user_id))


def for_registration(settings: AuthenticationSettings, origin: Origin) -> list[Counter]:
    """What a registration counts towards."""
    network = network_of(origin.ip)
    if not settings.login_throttle or network is None:
        return []
    key = CounterKey(_digest("register", network), None, settings.registration_window_seconds)
    return [Counter("registrations per address", settings.registrations_per_address, key)]


def take(db: Session, counters: Sequence[Counter], *, origin: Origin) -> TooManyAttempts | None:
    """Count an attempt. The refusal is returned: raising it would roll its audit event back.

    An attempt that one counter refuses is given back to the others, as it will not be made.
    """
    if not counters:
        return None
    keys = [counter.key for counter in counters]
    # Once a limit is exceeded, a flood only reads: it neither writes nor waits in line for a row.
    if refusal := _judge(counters, queries.throttle_counters.read(db, keys)):
        return refusal
    counts = queries.throttle_counters.increment(db, keys)
    refusal = _judge(counters, counts)
    if refusal is not None:
        exceeded = [one for one in counters if one.is_exceeded_by(counts)]
        give_back(db, [one for one in counters if one not in exceeded])
        for counter in exceeded:
            _record(db, counter, counts, origin)
    return refusal


def _judge(counters: Sequence[Counter], counts: Mapping[bytes, Count]) -> TooManyAttempts | None:
    exceeded = [one for one in counters if one.is_exceeded_by(counts)]
    if not exceeded:
        return None
    waits = [one.retry_after(counts) for one in exceeded]
    address = [one.retry_after(counts) for one in exceeded if one.is_of_address]
    account = [one.retry_after(counts) for one in exceeded if not one.is_of_address]
    return TooManyAttempts(
        max(waits),
        address_seconds=max(address, default=None),
        account_seconds=max(account, default=None),
    )


async def admit(service: Service, counters: Sequence[Counter], *, origin: Origin) -> None:
    """Count an attempt in a transaction of its own. Raises TooManyAttempts."""
    if not counters:
        return
    refusal = await service.database.run(lambda db: take(db, counters, origin=origin))
    if refusal is not None:
        raise refusal


async def take_back(service: Service, counters: Sequence[Counter]) -> None:
    """The password was not looked at in the end. In a transaction of its own."""
    # Counters go with their user, who may have been deleted meanwhile.
    with suppress(IntegrityError):
        await service.database.run(lambda db: give_back(db, counters))


def give_back(db: Session, counters: Sequence[Counter]) -> None:
    """The attempt was not made after all. What failed before it still counts."""
    queries.throttle_counters.decrement(db, [counter.key for counter in counters])


def note_success(db: Session, counters: Sequence[Counter]) -> None:
    """The attempt succeeded: it counts no more, and failures in a row begin at nothing again."""
    queries.throttle_counters.decrement(db, [one.key for one in counters], reset_consecutive=True)


def note_login(
    db: Session,
    settings: AuthenticationSettings,
    counters: Sequence[Counter],
    *,
    user_id: int,
    origin: Origin,
) -> None:
    """A login succeeded: its attempt is given back, and its address is known from now on."""
    if not settings.login_throttle:
        return
    # From wherever it came, it ends what strangers have gathered in failures in a row.
    account = _for_account(settings, user_id, "login", f"user {user_id}")
    in_a_row = [one for one in account if one.is_consecutive and one not in counters]
    note_success(db, [*counters, *in_a_row])
    note_address(db, user_id=user_id, origin=origin)


def note_address(db: Session, *, user_id: int, origin: Origin) -> None:
    """Whoever logs in to the account from this address will have an allowance of their own."""
    if network := network_of(origin.ip):
        digest = digest_of(user_id, network)
        queries.known_addresses.record(
            db, user_id=user_id, digest=digest, keep=_KNOWN_ADDRESSES_PER_USER
        )


def forgive(db: Session, user_id: int) -> None:
    """Forget all failures on an account, as its password is another one now."""
    queries.throttle_counters.delete_of_user(db, user_id)


def _for_account(settings: AuthenticationSettings, user_id: int | None, *key: str) -> list[Counter]:
    """So many in a window, and so many in a row however slowly (NIST SP 800-63B-4, 3.2.2)."""
    forgotten_after = _UNKNOWN_ACCOUNT_SECONDS if user_id is None else None
    window = settings.login_window_seconds
    return [
        Counter(
            f"{key[0]} attempts per account",
            settings.login_attempts_per_account,
            CounterKey(_digest("window", *key), user_id, window),
        ),
        Counter(
            f"{key[0]} failures in a row",
            settings.login_failures_per_account,
            CounterKey(_digest("in a row", *key), user_id, forgotten_after),
            is_consecutive=True,
        ),
    ]


def _for_address(settings: AuthenticationSettings, network: str) -> Counter:
    key = CounterKey(_digest("login", network), None, settings.login_window_seconds)
    limit = settings.login_attempts_per_address
    return Counter("login attempts per address", limit, key, is_of_address=True)


def _digest(*parts: str) -> bytes:
    return sha256("\x00".join(parts).encode()).digest()


def _record(db: Session, counter: Counter, counts: Mapping[bytes, Count], origin: Origin) -> None:
    # Only what first exceeds the limit: a flood must not fill the audit log as well.
    if counts[counter.key.digest].attempts == counter.limit + 1:
        audit.record(
            db,
            Event.ATTEMPTS_THROTTLED,
            origin=origin,
            subject=audit.user(counter.key.user_id) if counter.key.user_id else None,
            limit=counter.name,
        )
