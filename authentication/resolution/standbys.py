"""Begins a reign after a promotion, shows that one goes on, and counts what standbys answer."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from authentication.instrumentation import Instrumentation
from counterfoil.errors import DatabaseUnavailable
from counterfoil.lookup.marks import Mark, Outcome
from counterfoil.lookup.replicated import LookupObserver
from database import queries
from database.engine import deadlines
from database.engine.session import Database

log = logging.getLogger("counterfoil.lookup")

# The lookups ask twelve times in the time for which a beat counts, and here two of these pass.
_BEAT_SHARE = 1 / 8
_RETRY_SHARE = 1 / 12


class StandbyObserver(LookupObserver):
    """Until a reign has begun, the primary answers all lookups."""

    def __init__(self, database: Database, instrumentation: Instrumentation) -> None:
        self._database = database
        self._instrumentation = instrumentation
        self._fencing_seconds = database.settings.fencing_seconds
        self._beat = -1
        self._beat_since = 0.0
        self._next_beat_at = 0.0
        self._writing: asyncio.Task[None] | None = None

    def batch_finished(self, *, server: str, outcome: Outcome) -> None:
        self._instrumentation.batch_finished(server=server, outcome=outcome)

    def mark_finished(self, *, seconds: float, mark: Mark | None, is_fenced: bool) -> None:
        if mark is None:
            self._write(self._begin())
            return
        self._instrumentation.mark_finished(seconds=seconds, reign=mark.number)
        if self._fencing_seconds:
            self._keep_beating(mark.beat, is_fenced)

    async def stop(self) -> None:
        """Wait for what has begun."""
        if self._writing is not None:
            await self._writing

    def _keep_beating(self, beat: int, is_fenced: bool) -> None:
        """Raise the beat if no worker has for a while, or at once while no token is accepted."""
        now = asyncio.get_running_loop().time()
        if beat != self._beat:
            self._beat, self._beat_since = beat, now
        is_due = is_fenced or now - self._beat_since >= _BEAT_SHARE * self._fencing_seconds
        if is_due and now >= self._next_beat_at:
            self._next_beat_at = now + _RETRY_SHARE * self._fencing_seconds
            self._write(self._raise_beat(beat))

    def _write(self, work: Coroutine[Any, Any, None]) -> None:
        """One thing at a time; what is still to do shows at the next mark."""
        if self._writing is not None and not self._writing.done():
            work.close()
            return
        # Not in the context of a request, whose time may be up.
        loop = asyncio.get_running_loop()
        self._writing = loop.create_task(work, context=Context())

    async def _begin(self) -> None:
        try:
            await asyncio.to_thread(self._run, queries.reign.begin)
        except DatabaseUnavailable as failure:
            log.warning("no standby can be used, as the primary takes no writes: %s", failure)
        else:
            log.info("standbys have to follow this primary from now on")

    async def _raise_beat(self, seen: int) -> None:
        raise_beat = partial(queries.reign.raise_beat, seen=seen)
        with suppress(queries.reign.BeatTaken, DatabaseUnavailable):
            await asyncio.to_thread(self._run, raise_beat)

    def _run(self, work: Callable[[Session], None]) -> None:
        """In a connection that no request can take: without a beat, none is answered."""
        with (
            deadlines.deadline(self._database.settings.database_deadline_seconds),
            self._database.transaction(in_any_reign=True) as db,
        ):
            work(db)
