"""Lets attempts in that cost a password hash, or rejects them before they cost much.

An attempt is first held against what was rejected a moment ago, then gets a slot in the queue for
hashing, and is then counted in the database: only after that is the password looked at.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

import anyio
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import LoginName
from authentication.errors import HashingBusy, TooManyAttempts
from authentication.passwords.queue import HashingQueue, Slot
from authentication.settings import AuthenticationSettings
from authentication.throttling import attempts, limits
from authentication.throttling.attempts import Attempt, U
from authentication.throttling.known_networks import KnownNetworks
from authentication.throttling.limits import Exceeded
from authentication.throttling.memory import RecentRejections
from counterfoil.errors import DatabaseUnavailable
from database.engine.session import Database
from database.models import User

T = TypeVar("T")


class Admission(Generic[U]):
    """An attempt that may be made: it has been counted, and has a slot for hashing."""

    def __init__(self, attempt: Attempt[U], hashing: HashingQueue, slot: Slot) -> None:
        self.user = attempt.user
        self._attempt = attempt
        self._hashing = hashing
        self._slot = slot

    async def hash(self, work: Callable[[], T]) -> T:
        """Have a password hashed, once. Raises HashingBusy."""
        user_id = self._attempt.trusted_user_id
        return await self._hashing.run_in(self._slot, work, user_id=user_id)

    def record_success(self, db: Session) -> None:
        """The password was right: the attempt counts no more."""
        self._attempt.record_success(db)


class Throttle:
    """Admits attempts one by one. Belongs to the event loop it is used on."""

    def __init__(
        self, settings: AuthenticationSettings, database: Database, hashing: HashingQueue
    ) -> None:
        self._settings = settings
        self._database = database
        self._hashing = hashing
        self._rejections = RecentRejections()
        self._known_networks = KnownNetworks(database)

    @asynccontextmanager
    async def admit_login(
        self, name: LoginName, origin: Origin
    ) -> AsyncIterator[Admission[User | None]]:
        """Raises TooManyAttempts, HashingBusy."""
        user_id = await self._find_trusted_user(name, origin)
        async with self._admit(
            lambda db: attempts.login(db, self._settings, name, origin),
            origin,
            user_id=user_id,
            on_rejection=partial(self._remember, name, origin),
        ) as admission:
            yield admission

    def admit_password_check(
        self, user_id: int, origin: Origin
    ) -> AbstractAsyncContextManager[Admission[User]]:
        """Raises TooManyAttempts, HashingBusy; NotFound if the user has been deleted."""
        return self._admit(
            lambda db: attempts.password_check(db, self._settings, user_id), origin, user_id=user_id
        )

    def admit_registration(self, origin: Origin) -> AbstractAsyncContextManager[Admission[None]]:
        """Raises TooManyAttempts, HashingBusy."""
        return self._admit(lambda _: attempts.registration(self._settings, origin), origin)

    @asynccontextmanager
    async def _admit(
        self,
        describe: Callable[[Session], Attempt[U]],
        origin: Origin,
        *,
        user_id: int | None = None,
        on_rejection: Callable[[Attempt[Any], Sequence[Exceeded]], None] = lambda *_: None,
    ) -> AsyncIterator[Admission[U]]:
        with self._hashing.reserve(user_id) as slot:
            attempt, exceeded = await self._count(describe, origin)
            if exceeded:
                on_rejection(attempt, exceeded)
                raise TooManyAttempts(limits.retry_after(exceeded))
            try:
                yield Admission(attempt, self._hashing, slot)
            except (HashingBusy, asyncio.CancelledError):
                await self._give_back(attempt)
                raise

    async def _count(
        self, describe: Callable[[Session], Attempt[U]], origin: Origin
    ) -> tuple[Attempt[U], Sequence[Exceeded]]:
        def count(db: Session) -> tuple[Attempt[U], Sequence[Exceeded]]:
            attempt = describe(db)
            return attempt, limits.count(db, attempt.counted, origin=origin)

        try:
            return await self._database.run(count)
        except IntegrityError:
            # The user was deleted between being found and being counted; now they are not found.
            return await self._database.run(count)

    async def _give_back(self, attempt: Attempt[Any]) -> None:
        """The password was not looked at in the end."""
        if attempt.gives_back:
            # Without a database it counts as a failure does.
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await self._database.run(lambda db: limits.give_back(db, attempt.counted))

    async def _find_trusted_user(self, name: LoginName, origin: Origin) -> int | None:
        """In a flood, the id of the user who logs in, if they come from a known network.

        They have limits and slots of their own. Others are rejected as the last of them was: raises
        TooManyAttempts.
        """
        network = origin.network
        if rejection := self._rejections.find(name.normalised, network):
            raise rejection
        rejection = self._rejections.find_for_unknown(name.normalised, network)
        if rejection is None and not self._hashing.is_full():
            return None
        user_id = await self._known_networks.find_user_id(name.normalised, network)
        if user_id is None and rejection is not None:
            raise rejection
        return user_id

    def _remember(
        self, name: LoginName, origin: Origin, attempt: Attempt[Any], exceeded: Sequence[Exceeded]
    ) -> None:
        is_known = attempt.trusted_user_id is not None
        self._rejections.add(name.normalised, origin.network, exceeded, is_known=is_known)
