"""Finds and stores the networks from which users have logged in, as digests."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from counterfoil.errors import DatabaseUnavailable
from database import clock, queries
from database.engine.session import Database
from database.models import KnownAddress, User
from database.text import is_comparable

_MOST_PER_USER = 20
# Networks are forgotten after 90 days, so their last use need not be exact.
_REWRITTEN_AFTER = timedelta(days=1)
# Long enough for a flood to share queries, and too short for many answers to be due at once.
_PAUSE_SECONDS = 0.1
# In a flood at one account, the same name is looked up again and again.
_ANSWER_SECONDS = 1.0


def is_known(user: User, network: str | None) -> bool:
    """Whether the user, loaded with known addresses, has logged in from the network."""
    return network is not None and _digest(user.id, network) in _digests(user)


def remember(db: Session, user: User, network: str | None) -> None:
    """Stores a network from which the user, loaded with known addresses, has just logged in.

    It replaces the oldest one if the user has twenty. One that is stored already is only written
    again after a day.
    """
    if network is None:
        return
    digest, known = _digest(user.id, network), _digests(user)
    if any(_is_recent(db, one) for one in user.known_addresses if one.address_digest == digest):
        return
    if len(known) < _MOST_PER_USER or digest in known:
        queries.known_addresses.add(db, user_id=user.id, digest=digest)
    else:
        queries.known_addresses.replace_oldest(db, user_id=user.id, digest=digest)


def remember_first(db: Session, user_id: int, network: str | None) -> None:
    """Stores the network from which the user has just registered."""
    if network is not None:
        queries.known_addresses.add(db, user_id=user_id, digest=_digest(user_id, network))


def forget(db: Session, user_id: int, *, keep: str | None = None) -> None:
    """Deletes the networks of a user, except the one to keep: a thief may have logged in."""
    kept = None if keep is None else _digest(user_id, keep)
    queries.known_addresses.delete_of_user(db, user_id, keep=kept)


# Ids of users, each with the digest of a network, by the users' names. None if there is no answer.
_Known = Mapping[str, Sequence[tuple[int, bytes]]] | None


class KnownNetworks:
    """Looks up logins together that arrive within a moment: in a flood, each would cost a query.

    An answer is kept for a second. Belongs to the event loop it is used on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: set[str] = set()
        self._query: asyncio.Task[_Known] | None = None
        self._answers: dict[str, Sequence[tuple[int, bytes]]] = {}
        self._answers_end_at = 0.0

    async def find_user_id(self, name: str, network: str | None) -> int | None:
        """The user with this normalised name, if they have logged in from there before.

        Raises DatabaseUnavailable.
        """
        # PostgreSQL rejects NUL and lone surrogates, and with them the whole query.
        if network is None or not is_comparable(name):
            return None
        known = self._recent_answers().get(name)
        if known is None:
            known = await self._ask_with_others(name)
        found = (one for one, digest in known if digest == _digest(one, network))
        return next(found, None)

    def _recent_answers(self) -> dict[str, Sequence[tuple[int, bytes]]]:
        now = time.monotonic()
        if now >= self._answers_end_at:
            self._answers, self._answers_end_at = {}, now + _ANSWER_SECONDS
        return self._answers

    async def _ask_with_others(self, name: str) -> Sequence[tuple[int, bytes]]:
        known = await asyncio.shield(self._join_query(name))
        if known is None:
            raise DatabaseUnavailable("the known networks cannot be read")
        return self._recent_answers().setdefault(name, known.get(name, ()))

    def _join_query(self, name: str) -> "asyncio.Task[_Known]":
        if self._query is None:
            self._names = set()
            query = self._ask(self._names)
            # In a context of its own: it must not use up the time of the request that came first.
            self._query = asyncio.get_running_loop().create_task(query, context=Context())
        self._names.add(name)
        return self._query

    async def _ask(self, names: set[str]) -> _Known:
        await asyncio.sleep(_PAUSE_SECONDS)
        self._query = None
        with suppress(DatabaseUnavailable):
            return await self._database.run(
                lambda db: queries.known_addresses.list_by_names(db, names), read_only=True
            )
        return None


def _is_recent(db: Session, known: KnownAddress) -> bool:
    return clock.read(db) - known.last_used_at < _REWRITTEN_AFTER


def _digests(user: User) -> set[bytes]:
    return {known.address_digest for known in user.known_addresses}


def _digest(user_id: int, network: str) -> bytes:
    return sha256("\x00".join(("known", str(user_id), network)).encode()).digest()
