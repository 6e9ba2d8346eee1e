"""Finds out whether tokens were ever issued, without a writing transaction.

Anyone can send any number of made-up tokens to the token endpoint and to the revocation endpoint.
They share queries: while one is on its way, the tokens that arrive wait together, and are the next
one. So they never take more than one connection, and nothing is written for what does not exist.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from itertools import islice
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from counterfoil import budget, tokens
from counterfoil.errors import DatabaseUnavailable
from counterfoil.lookup import MAX_BATCH
from counterfoil.tokens import TokenKind
from database import queries
from database.engine.session import Database
from database.queries.refresh_tokens import RefreshState


class _Key(NamedTuple):
    kind: TokenKind
    digest: bytes


_Answer = RefreshState | bool | None


class IssuedTokens:
    """Belongs to the event loop it is used on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[_Key, asyncio.Future[_Answer]] = {}
        self._sender: asyncio.Task[None] | None = None

    async def find_refresh_token(self, token: str) -> RefreshState | None:
        """What became of a refresh token, if it was issued. Raises DatabaseUnavailable."""
        if tokens.kind_of(token) is not TokenKind.REFRESH:
            return None
        answer = await self._find(_Key(TokenKind.REFRESH, tokens.digest(token)))
        return answer if isinstance(answer, RefreshState) else None

    async def is_issued(self, token: str) -> bool:
        """Whether a token of any kind was issued. Raises DatabaseUnavailable."""
        recognised = tokens.recognise(token)
        return recognised is not None and bool(await self._find(_Key(*recognised)))

    async def _find(self, key: _Key) -> _Answer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            limit = self._database.settings.database_deadline_seconds
            async with asyncio.timeout(budget.remaining(limit)):
                return await asyncio.shield(self._join(key))
        except TimeoutError:
            raise DatabaseUnavailable("no answer within the deadline") from None
        finally:
            budget.charge(loop.time() - began)

    def _join(self, key: _Key) -> "asyncio.Future[_Answer]":
        """The answer of the next query, which begins after this call."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
            # Nobody may be waiting any more when it fails.
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._sender is None:
            # In a context of its own: it must not use up the time of the request that came first.
            self._sender = asyncio.get_running_loop().create_task(self._send(), context=Context())
        return answer

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch = dict(islice(self._waiting.items(), MAX_BATCH))
                for key in batch:
                    del self._waiting[key]
                await self._answer(batch)
        finally:
            self._sender = None

    async def _answer(self, batch: "dict[_Key, asyncio.Future[_Answer]]") -> None:
        try:
            found = await self._database.run(
                _look_up(list(batch)), read_only=True, is_untrusted=True
            )
        except (DatabaseUnavailable, DBAPIError) as error:
            for answer in batch.values():
                answer.set_exception(DatabaseUnavailable(str(error)))
            return
        for key, answer in batch.items():
            answer.set_result(found.get(key.digest))


def _look_up(keys: list[_Key]) -> Callable[[Session], dict[bytes, _Answer]]:
    digests = {kind: [key.digest for key in keys if key.kind is kind] for kind in TokenKind}

    def look_up(db: Session) -> dict[bytes, _Answer]:
        found: dict[bytes, _Answer] = {}
        if refresh := digests[TokenKind.REFRESH]:
            states = queries.refresh_tokens.list_states(db, refresh)
            found.update((state.digest, state) for state in states)
        if access := digests[TokenKind.ACCESS]:
            found.update(dict.fromkeys(queries.access_tokens.list_known(db, access), True))
        if api_keys := digests[TokenKind.API_KEY]:
            found.update(dict.fromkeys(queries.api_keys.list_known(db, api_keys), True))
        return found

    return look_up
