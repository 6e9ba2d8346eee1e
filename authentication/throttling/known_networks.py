"""From where users have logged in before, and how many logins are told of it by one question.

A login finds that out by itself. In a flood it would take a transaction for each login that is
refused anyway, so the logins of a moment ask together.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from sqlalchemy.orm import Session

from counterfoil.errors import DatabaseUnavailable
from database import queries
from database.engine.session import Database

# One end user can have all of a /64 to themselves, and change addresses within it at will.
_IPV6_PREFIX = 64
_PAUSE_SECONDS = 0.2
_MOST_AT_ONCE = 200


def network_of(ip: str | None) -> str | None:
    """What counts as one address: an IPv4 address, or a /64 of IPv6."""
    if ip is None:
        return None
    address = ip_address(ip)
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed, _IPV6_PREFIX), strict=False))
    return str(address)


def digest_of(user_id: int | None, network: str) -> bytes:
    """How it is stored that a user has been there."""
    return sha256("\x00".join(("known", str(user_id), network)).encode()).digest()


class _Question(NamedTuple):
    name: str
    network: str
    answer: "asyncio.Future[int | None]"


class KnownAddresses:
    """Belongs to the event loop it is used on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._questions: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def find_user_id(self, name: str, network: str | None) -> int | None:
        """The user with this name in its normal form, if they have logged in from there before.

        Takes a fifth of a second at least. Raises DatabaseUnavailable.
        """
        if network is None:
            return None
        loop = asyncio.get_running_loop()
        question = _Question(name, network, loop.create_future())
        self._questions.append(question)
        if self._asking is None:
            # In a context of its own: it must not use up the time of whoever came first.
            self._asking = loop.create_task(self._ask_in_turns(), context=Context())
        return await question.answer

    async def close(self) -> None:
        """Whoever still asks is told that there is no answer."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask_in_turns(self) -> None:
        try:
            while self._questions:
                await asyncio.sleep(_PAUSE_SECONDS)
                asked = self._questions[:_MOST_AT_ONCE]
                del self._questions[:_MOST_AT_ONCE]
                await self._ask(asked)
        finally:
            self._asking = None
            _fail(self._questions)
            self._questions.clear()

    async def _ask(self, questions: Sequence[_Question]) -> None:
        try:
            found = await self._database.run(lambda db: _find_all(db, questions), read_only=True)
            # Those who are let in first; the others one by one, as their refusals, written in one
            # go, would hold up everybody else.
            for question in sorted(questions, key=lambda one: (one.name, one.network) not in found):
                user_id = found.get((question.name, question.network))
                if not question.answer.done():
                    question.answer.set_result(user_id)
                if user_id is None:
                    await asyncio.sleep(_PAUSE_SECONDS / len(questions))
        except DatabaseUnavailable:
            pass
        finally:
            _fail(questions)


def _fail(questions: Sequence[_Question]) -> None:
    # An error of one's own for each: a shared one would gather all their tracebacks.
    for question in questions:
        if not question.answer.done():
            question.answer.set_exception(DatabaseUnavailable("known addresses cannot be read"))


def _find_all(db: Session, questions: Sequence[_Question]) -> Mapping[tuple[str, str], int | None]:
    # PostgreSQL would refuse NUL and lone surrogates, and with them everybody's question.
    names = sorted({one.name for one in questions if one.name.isprintable()})
    ids = queries.users.find_ids(db, names)
    digests = {
        digest_of(ids[name], network): (name, network)
        for name, network, _ in questions
        if name in ids
    }
    known = queries.known_addresses.list_known(db, user_ids=[*ids.values()], digests=[*digests])
    return {digests[digest]: user_id for digest, user_id in known.items()}
