"""Counts the uses of API keys by day, in batches, and limits those of a key in a minute.

A batch also reads the limits of its keys, so that looking up a key need not. The first batch with a
key is written at once: a limit, and a change of one, holds moments later. Each worker counts by
itself.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from authentication.errors import TooManyAttempts
from authentication.resolution.write_behind import WriteBehind
from authentication.settings import AuthenticationSettings
from authentication.throttling.memory import Allowance
from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from database import queries
from database.engine.session import Database

log = logging.getLogger("counterfoil.api_keys")

_MINUTE = 60.0
_BATCH_SECONDS = 5.0
# Beyond this, keys that were not used for long are forgotten with all others.
_MAX_KEYS = 10_000


class ApiKeyUses:
    """`record_use` is called on the event loop for each use, and only adds it to the next batch."""

    def __init__(self, settings: AuthenticationSettings, database: Database) -> None:
        self._is_counting = settings.track_last_used
        self._database = database
        self._pending: Counter[UUID] = Counter()
        self._limits: dict[UUID, int | None] = {}
        self._allowance = Allowance(seconds=_MINUTE)
        self._writer = WriteBehind(self._write, seconds=_BATCH_SECONDS)
        self.start, self.stop = self._writer.start, self._writer.stop

    def record_use(self, kind: CredentialKind, found: LiveCredential) -> None:
        """Count a use of a key."""
        if kind is not CredentialKind.API_KEY:
            return
        key_id = UUID(str(found.credential_id))
        if key_id in self._pending or len(self._pending) < _MAX_KEYS:
            self._pending[key_id] += 1
            self._writer.schedule(immediately=key_id not in self._limits)

    def charge(self, key_id: UUID) -> None:
        """Count a request of a key that has a limit. Raises TooManyAttempts past it."""
        limit = self._limits.get(key_id)
        if limit is None:
            return
        seconds = self._allowance.take({str(key_id): limit})
        if seconds is not None:
            raise TooManyAttempts(max(1, round(seconds)))

    async def _write(self) -> None:
        uses, self._pending = self._pending, Counter()
        if not uses:
            return
        try:
            limits = await self._database.run(lambda db: self._store(db, uses))
        except (DatabaseUnavailable, DBAPIError) as error:
            # Whatever is wrong with the database now, it may be over by the next use.
            log.warning("uses of %d API keys were not counted: %s", len(uses), error)
        except Exception:
            # An exception would end the only task that writes.
            log.exception("uses of %d API keys were not counted", len(uses))
        else:
            if len(self._limits) > _MAX_KEYS:
                self._limits = {}
            self._limits.update(limits)

    def _store(self, db: Session, uses: Mapping[UUID, int]) -> dict[UUID, int | None]:
        if self._is_counting:
            queries.api_key_uses.add(db, uses)
        return queries.api_key_uses.read_limits(db, uses.keys())
