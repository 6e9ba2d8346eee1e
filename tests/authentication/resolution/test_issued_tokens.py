"""Tokens whose existence is asked for together: whatever becomes of one caller, others are told."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from authentication.resolution.issued_tokens import IssuedTokens
from counterfoil import budget, tokens
from counterfoil.errors import DatabaseUnavailable
from counterfoil.tokens import TokenKind
from database.engine.session import Database

pytestmark = pytest.mark.one_database

DEADLINE = 20.0


class HeldDatabase:
    """Answers when it is told to: with these digests, or an error."""

    def __init__(self, deadline_seconds: float) -> None:
        self.settings = SimpleNamespace(database_deadline_seconds=deadline_seconds)
        self.queries: list[asyncio.Future[dict[bytes, bool]]] = []

    async def run(self, *_work: object, **_options: object) -> dict[bytes, bool]:
        query: asyncio.Future[dict[bytes, bool]] = asyncio.get_running_loop().create_future()
        self.queries.append(query)
        return await query


class World:
    """Callers who ask for tokens, of which all are issued."""

    def __init__(self, *, deadline_seconds: float = DEADLINE) -> None:
        self.database = HeldDatabase(deadline_seconds)
        self.issued = IssuedTokens(cast(Database, self.database))
        self.tokens = [tokens.create(TokenKind.ACCESS).text for _ in range(3)]

    async def ask(self, *texts: str) -> list["asyncio.Task[bool]"]:
        asked = [asyncio.create_task(self.issued.is_issued(text)) for text in texts]
        await self.pass_turns()
        return asked

    async def pass_turns(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    def answer(self) -> None:
        """Answer the query that was sent last."""
        self.database.queries[-1].set_result({tokens.digest(one): True for one in self.tokens})


def play(scene: Callable[[World], Coroutine[Any, Any, None]], world: World) -> None:
    async def run() -> None:
        # A future that nobody resolves would be waited for without an end.
        async with asyncio.timeout(DEADLINE):
            await scene(world)

    asyncio.run(run())


def test_if_one_hangs_up_the_others_are_answered_by_the_same_query() -> None:
    async def scene(world: World) -> None:
        first, *others = await world.ask(*world.tokens)
        first.cancel()
        await world.pass_turns()
        world.answer()
        assert await asyncio.gather(*others) == [True, True]
        assert len(world.database.queries) == 1

    play(scene, World())


def test_if_one_of_two_that_ask_for_the_same_token_hangs_up_the_other_is_answered() -> None:
    async def scene(world: World) -> None:
        first, other = await world.ask(world.tokens[0], world.tokens[0])
        first.cancel()
        await world.pass_turns()
        world.answer()
        assert await other is True

    play(scene, World())


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("lost"), OperationalError("SELECT", {}, Exception("lost"))]
)
def test_if_a_query_fails_all_are_told_and_the_next_ones_are_answered(error: Exception) -> None:
    async def scene(world: World) -> None:
        first, *others = await world.ask(*world.tokens)
        (late,) = await world.ask(world.tokens[0])
        first.cancel()
        world.database.queries[-1].set_exception(error)
        told = await asyncio.gather(*others, return_exceptions=True)
        assert [type(one) for one in told] == [DatabaseUnavailable] * 2
        await world.pass_turns()
        world.answer()
        assert await late is True
        (next_one,) = await world.ask(world.tokens[1])
        world.answer()
        assert await next_one is True

    play(scene, World())


def test_the_time_of_a_query_is_taken_from_each_request_that_waited_for_it() -> None:
    async def scene(world: World) -> None:
        left: list[float] = []

        async def request(text: str) -> None:
            budget.set_budget(DEADLINE)
            await world.issued.is_issued(text)
            left.append(budget.remaining(DEADLINE))

        requests = [asyncio.create_task(request(one)) for one in world.tokens[:2]]
        await asyncio.sleep(0.05)
        world.answer()
        await asyncio.gather(*requests)
        assert max(left) < DEADLINE - 0.04

    play(scene, World())


def test_one_whose_time_is_over_is_told_and_the_others_are_answered() -> None:
    async def scene(world: World) -> None:
        async def hurry() -> bool:
            budget.set_budget(0.01)
            return await world.issued.is_issued(world.tokens[0])

        hurried = asyncio.create_task(hurry())
        (patient,) = await world.ask(world.tokens[0])
        with pytest.raises(DatabaseUnavailable):
            await hurried
        world.answer()
        assert await patient is True

    play(scene, World())
