"""Admits or rejects attempts before a password is hashed.

An attempt is first compared with recent rejections, then reserves a slot in the queue for hashing,
and is then counted in the database. Only after that is the password verified.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import Context
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
from authentication.throttling import attempts, counting
from authentication.throttling.attempts import Attempt, AttemptedUser
from authentication.throttling.counting import Exceeded
from authentication.throttling.known_networks import KnownNetworks
from authentication.throttling.memory import RecentRejections
from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from database.engine.session import Database
from database.models import User

# The time over which the rejections of a flood are spread.
_SPREAD_SECONDS = 0.4

T = TypeVar("T")


class Admission(Generic[AttemptedUser]):
    """An attempt that has been counted and has a slot for hashing.

    The slot is free again once the context manager is left. `record_success` may be called later,
    because it only uses the counters in the database.
    """

    def __init__(self, attempt: Attempt[AttemptedUser], hashing: HashingQueue, slot: Slot) -> None:
        self.user = attempt.user
        self._attempt = attempt
        self._hashing = hashing
        self._slot = slot
        self.if_abandoned: Callable[[Session, Any], None] | None = None

    async def hash(
        self, work: Callable[[], T], *, if_abandoned: Callable[[Session, T], None] | None = None
    ) -> T:
        """Runs a computation of a hash in the slot, once. Raises HashingBusy.

        A hash that has begun is finished, even if the client disconnects or the deadline passes.
        Its result is then passed to `if_abandoned`, in a transaction.
        """
        self.if_abandoned = if_abandoned
        user_id = self._attempt.trusted_user_id
        return await self._hashing.run_in(self._slot, work, user_id=user_id)

    def record_success(self, db: Session) -> None:
        """Subtracts the attempt from its counters: the password was right."""
        self._attempt.record_success(db)

    def undo(self, db: Session) -> None:
        """Subtracts an attempt that was abandoned although the password was right."""
        self._attempt.undo(db)


class Throttle:
    """Admits attempts one by one. Belongs to the event loop on which it is used."""

    def __init__(
        self, settings: AuthenticationSettings, database: Database, hashing: HashingQueue
    ) -> None:
        self._settings = settings
        self._database = database
        self._hashing = hashing
        self._rejections = RecentRejections()
        self._known_networks = KnownNetworks(database)
        self._abandoned: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Waits until the attempts that clients have abandoned are recorded."""
        if self._abandoned:
            await asyncio.wait(self._abandoned)

    @asynccontextmanager
    async def admit_login(
        self, name: LoginName, origin: Origin
    ) -> AsyncIterator[Admission[User | None]]:
        """Raises TooManyAttempts, HashingBusy."""
        self._reject_repeated(name, origin)
        user_id = await self._find_trusted_user_or_reject(name, origin)
        async with self._admit(
            lambda db: attempts.describe_login(db, self._settings, name, origin),
            origin,
            user_id=user_id,
            on_rejection=partial(self._remember_rejection, name, origin),
        ) as admission:
            yield admission

    def admit_password_check(
        self, user_id: int, origin: Origin
    ) -> AbstractAsyncContextManager[Admission[User]]:
        """Raises TooManyAttempts, HashingBusy; NotFound if the user has been deleted."""
        return self._admit(
            lambda db: attempts.describe_password_check(db, self._settings, user_id),
            origin,
            user_id=user_id,
        )

    def admit_registration(self, origin: Origin) -> AbstractAsyncContextManager[Admission[None]]:
        """Raises TooManyAttempts, HashingBusy."""
        return self._admit(lambda _: attempts.describe_registration(self._settings, origin), origin)

    async def admit_name_change(self, user_id: int, origin: Origin) -> None:
        """Counts a change of a username or an address, taken or not. Raises TooManyAttempts."""
        _, exceeded = await self._count(
            lambda _: attempts.describe_name_change(self._settings, user_id, origin),
            origin,
            is_untrusted=False,
        )
        if exceeded:
            raise TooManyAttempts(counting.longest_retry_after(exceeded))

    @asynccontextmanager
    async def _admit(
        self,
        describe: Callable[[Session], Attempt[AttemptedUser]],
        origin: Origin,
        *,
        user_id: int | None = None,
        on_rejection: Callable[[Attempt[Any], Sequence[Exceeded]], None] = lambda *_: None,
    ) -> AsyncIterator[Admission[AttemptedUser]]:
        with self._hashing.reserve(user_id) as slot:
            attempt, exceeded = await self._count_or_undo(
                describe, origin, is_untrusted=user_id is None
            )
            if exceeded:
                on_rejection(attempt, exceeded)
                raise TooManyAttempts(counting.longest_retry_after(exceeded))
            admission = Admission(attempt, self._hashing, slot)
            try:
                yield admission
            except (HashingBusy, asyncio.CancelledError):
                if self._hashing.withdraw(slot):
                    await self._undo_count(attempt)
                else:
                    self._record_later(admission, slot)
                raise

    async def _count_or_undo(
        self,
        describe: Callable[[Session], Attempt[AttemptedUser]],
        origin: Origin,
        *,
        is_untrusted: bool,
    ) -> tuple[Attempt[AttemptedUser], Sequence[Exceeded]]:
        """Counts an attempt. If it is cancelled meanwhile, the count is completed and undone."""
        count = asyncio.ensure_future(self._count(describe, origin, is_untrusted=is_untrusted))
        try:
            return await asyncio.shield(count)
        except asyncio.CancelledError:
            with suppress(CounterfoilError, DatabaseUnavailable):
                attempt, exceeded = await count
                if not exceeded:
                    await self._undo_count(attempt)
            raise

    async def _count(
        self,
        describe: Callable[[Session], Attempt[AttemptedUser]],
        origin: Origin,
        *,
        is_untrusted: bool,
    ) -> tuple[Attempt[AttemptedUser], Sequence[Exceeded]]:
        def count(db: Session) -> tuple[Attempt[AttemptedUser], Sequence[Exceeded]]:
            attempt = describe(db)
            return attempt, counting.count(db, attempt.counted, origin=origin)

        try:
            return await self._database.run(count, is_untrusted=is_untrusted)
        except IntegrityError:
            # The user was deleted after being found and before the count: this time it finds none.
            return await self._database.run(count, is_untrusted=is_untrusted)

    async def _undo_count(self, attempt: Attempt[Any]) -> None:
        """Decrements the counters of an attempt whose password was not verified."""
        if attempt.is_undone_without_hash:
            # If the database is unavailable, the attempt counts as a failure.
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await self._database.run(lambda db: counting.undo_count(db, attempt.counted))

    def _record_later(self, admission: Admission[Any], slot: Slot) -> None:
        """Records an attempt whose client is gone once its hash has been computed."""
        recording = self._record_abandoned(admission, slot)
        # In a context of its own, because the time of the request is over.
        task = asyncio.get_running_loop().create_task(recording, context=Context())
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def _record_abandoned(self, admission: Admission[Any], slot: Slot) -> None:
        record = admission.if_abandoned
        if slot.hashing is None or record is None:
            return
        await asyncio.wait({slot.hashing})
        if slot.hashing.cancelled() or slot.hashing.exception() is not None:
            return
        result = slot.hashing.result()
        with suppress(DatabaseUnavailable):
            await self._database.run(lambda db: record(db, result))

    def _reject_repeated(self, name: LoginName, origin: Origin) -> None:
        """Raises TooManyAttempts if the same login was rejected a moment ago."""
        if rejection := self._rejections.find(name.normalised, origin.network):
            raise rejection

    async def _find_trusted_user_or_reject(self, name: LoginName, origin: Origin) -> int | None:
        """The id of the user who logs in, if there are too many logins and their network is known.

        Such a user has limits and slots of their own. Raises TooManyAttempts for all others at an
        account, or from a network, where one of them was rejected a moment ago.
        """
        rejection = self._rejections.find_for_unknown(name.normalised, origin.network)
        if rejection is None and not self._hashing.is_full():
            return None
        user_id = await self._known_networks.find_user_id(name.normalised, origin.network)
        if user_id is None:
            # Many are answered by one query: rejecting all at once would delay everything else.
            await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS))  # noqa: S311
            if rejection is not None:
                raise rejection
        return user_id

    def _remember_rejection(
        self, name: LoginName, origin: Origin, attempt: Attempt[Any], exceeded: Sequence[Exceeded]
    ) -> None:
        is_known = attempt.trusted_user_id is not None
        self._rejections.add(name.normalised, origin.network, exceeded, is_known=is_known)
