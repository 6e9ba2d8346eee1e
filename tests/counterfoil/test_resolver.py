"""Tokens that are looked up together: each gets its own answer, whatever becomes of the others."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from counterfoil import budget
from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, Identity, LiveCredential
from counterfoil.lookup import MAX_BATCH
from counterfoil.lookup.postgresql import PostgreSQLLookup
from counterfoil.resolver import Resolver
from counterfoil.tokens import TokenKind, create, digest

DEADLINE = 20.0


def credential(token: str) -> LiveCredential:
    """The row of a live token whose user has the token itself for a name."""
    moments = {name: 0.0 for name in LiveCredential._fields if name.endswith("_at")}
    empty: dict[str, Any] = dict.fromkeys(LiveCredential._fields)
    known = {"digest": digest(token), "credential_id": 1, "user_id": 1, "name": token, "email": ""}
    return LiveCredential(**{**empty, **moments, **known})


class HeldLookup:
    """One connection to a database that holds these tokens, and answers when it is told to."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.rows = {digest(token): credential(token) for token in tokens}
        self.batches: list[Sequence[bytes]] = []
        self.down = False
        self.on_free: Callable[[], None] = lambda: None
        self._answer: asyncio.Future[list[LiveCredential]] | None = None

    async def open(self) -> None:
        pass

    def is_free(self) -> bool:
        return self._answer is None

    def is_down(self) -> bool:
        return self.down

    def find(
        self,
        kind: CredentialKind,  # noqa: ARG002
        digests: Sequence[bytes],
    ) -> asyncio.Future[list[LiveCredential]]:
        self.batches.append(digests)
        self._answer = asyncio.get_running_loop().create_future()
        return self._answer

    def respond(self) -> None:
        """Answer the batch in flight."""
        assert self._answer is not None
        answer, self._answer = self._answer, None
        answer.set_result([self.rows[one] for one in self.batches[-1] if one in self.rows])
        self.on_free()

    async def close(self) -> None:
        pass


class World:
    """A resolver above a lookup that is held."""

    def __init__(self, count: int, *, deadline_seconds: float = DEADLINE) -> None:
        self.tokens = [create(TokenKind.ACCESS).text for _ in range(count)]
        self.lookup = HeldLookup(self.tokens)
        self.resolver = Resolver(self.lookup, deadline_seconds=deadline_seconds)

    async def ask(self, *tokens: str) -> list["asyncio.Task[Identity | None]"]:
        """Requests that arrive in the same turn of the loop."""
        asked = [asyncio.create_task(self.resolver.resolve(token)) for token in tokens]
        await self.pass_turns()
        return asked

    async def pass_turns(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)


def play(scene: Callable[[World], Coroutine[Any, Any, None]], world: World) -> None:
    async def run() -> None:
        await world.resolver.open()
        # A future that nobody resolves would be waited for without an end.
        async with asyncio.timeout(DEADLINE):
            await scene(world)

    asyncio.run(run())


def names(answers: Sequence[Identity | BaseException | None]) -> list[str | None]:
    return [answer.name if isinstance(answer, Identity) else None for answer in answers]


def test_each_of_a_batch_gets_its_own_answer() -> None:
    async def scene(world: World) -> None:
        unknown = create(TokenKind.ACCESS).text
        asked = await world.ask(world.tokens[0], unknown, world.tokens[1], world.tokens[0])
        world.lookup.respond()
        first, second = world.tokens
        assert names(await asyncio.gather(*asked)) == [first, None, second, first]
        assert [len(batch) for batch in world.lookup.batches] == [3]

    play(scene, World(2))


def test_if_one_of_a_batch_hangs_up_the_others_are_answered() -> None:
    async def scene(world: World) -> None:
        first, *others = await world.ask(*world.tokens)
        first.cancel()
        await world.pass_turns()
        world.lookup.respond()
        assert names(await asyncio.gather(*others)) == world.tokens[1:]

    play(scene, World(3))


def test_if_one_hangs_up_and_the_lookup_fails_the_others_are_told() -> None:
    async def scene(world: World) -> None:
        first, *others = await world.ask(*world.tokens)
        first.cancel()
        await world.pass_turns()
        assert world.lookup._answer is not None
        world.lookup._answer.set_exception(DatabaseUnavailable("lost"))
        found = await asyncio.gather(*others, return_exceptions=True)
        assert [type(error) for error in found] == [DatabaseUnavailable] * 2

    play(scene, World(3))


def test_if_the_time_of_one_is_over_the_others_are_answered() -> None:
    async def scene(world: World) -> None:
        async def hurry() -> Identity | None:
            budget.set_budget(0.05)
            return await world.resolver.resolve(world.tokens[0])

        hurried = asyncio.create_task(hurry())
        others = await world.ask(*world.tokens[1:])
        with pytest.raises(DatabaseUnavailable):
            await hurried
        world.lookup.respond()
        assert names(await asyncio.gather(*others)) == world.tokens[1:]

    play(scene, World(3))


def test_one_that_waits_for_a_connection_is_told_in_time_and_so_is_the_next() -> None:
    async def scene(world: World) -> None:
        await world.ask(world.tokens[0])
        waiting = await world.ask(world.tokens[1])
        await asyncio.sleep(0.15)
        later = await world.ask(world.tokens[2])
        for asked in (waiting, later):
            with pytest.raises(DatabaseUnavailable):
                await asked[0]
        assert world.resolver.waiting() == 0
        assert len(world.lookup.batches) == 1

    play(scene, World(3, deadline_seconds=0.3))


def test_a_batch_is_bounded_and_the_rest_is_the_next_one() -> None:
    async def scene(world: World) -> None:
        asked = await world.ask(*world.tokens)
        world.lookup.respond()
        await world.pass_turns()
        world.lookup.respond()
        assert names(await asyncio.gather(*asked)) == world.tokens
        assert [len(batch) for batch in world.lookup.batches] == [MAX_BATCH, 5]

    play(scene, World(MAX_BATCH + 5))


def test_the_time_of_a_lookup_is_taken_from_what_the_request_may_wait() -> None:
    async def scene(world: World) -> None:
        budget.set_budget(10.0)
        loop = asyncio.get_running_loop()
        for resolve in (
            world.resolver.resolve(world.tokens[0]),
            world.resolver.resolve_both(*world.tokens),
        ):
            before = budget.remaining(10.0)
            loop.call_later(0.1, world.lookup.respond)
            await resolve
            assert budget.remaining(10.0) < before - 0.09

    play(scene, World(2))


def test_a_lookup_waits_no_longer_than_the_rest_of_the_budget() -> None:
    async def scene(world: World) -> None:
        budget.set_budget(0.0)
        with pytest.raises(DatabaseUnavailable):
            await world.resolver.resolve(world.tokens[0])

    play(scene, World(1))


def test_while_the_database_is_down_a_request_is_rejected_at_once() -> None:
    async def scene(world: World) -> None:
        world.lookup.down = True
        with pytest.raises(DatabaseUnavailable):
            await world.resolver.resolve(world.tokens[0])
        assert world.lookup.batches == []

    play(scene, World(1))


def test_a_server_that_was_not_reached_for_the_deadline_is_down() -> None:
    async def connect() -> None:
        lookup = PostgreSQLLookup({"host": "127.0.0.1", "port": 1}, deadline_seconds=0.2)
        assert not lookup.is_down()
        await lookup.open()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not lookup.is_down():
            assert loop.time() < began + DEADLINE
            await asyncio.sleep(0.01)
        await lookup.close()

    asyncio.run(connect())
