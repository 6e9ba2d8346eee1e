"""Keeps an eye on lookups by standbys: counts them, and begins a reign after a promotion."""

import asyncio
import logging

from authentication.instrumentation import Instrumentation
from counterfoil.errors import DatabaseUnavailable
from counterfoil.lookup.marks import Outcome
from counterfoil.lookup.replicated import LookupObserver
from database import queries
from database.engine.session import Database

log = logging.getLogger("counterfoil.lookup")


class StandbyObserver(LookupObserver):
    """Until a reign has begun, the primary answers all lookups."""

    def __init__(self, database: Database, instrumentation: Instrumentation) -> None:
        self._database = database
        self._instrumentation = instrumentation
        self._beginning: asyncio.Task[None] | None = None

    def batch_finished(self, *, server: str, outcome: Outcome) -> None:
        self._instrumentation.batch_finished(server=server, outcome=outcome)

    def mark_finished(self, *, seconds: float, reign: int | None) -> None:
        if reign is not None:
            self._instrumentation.mark_finished(seconds=seconds, reign=reign)
        elif self._beginning is None or self._beginning.done():
            self._beginning = asyncio.get_running_loop().create_task(self._begin())

    async def stop(self) -> None:
        """Wait for what has begun."""
        if self._beginning is not None:
            await self._beginning

    async def _begin(self) -> None:
        try:
            await self._database.run(queries.reign.begin)
        except DatabaseUnavailable as failure:
            log.warning("no standby can be used, as the primary takes no writes: %s", failure)
        else:
            log.info("standbys have to follow this primary from now on")
