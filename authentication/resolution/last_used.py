"""Records in the background when credentials were last used, and extends rolling tokens.

Uses are written in batches, by a few statements for all of them, and at most once a minute for each
session. A crash loses nothing but the last batch.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from authentication import policies
from authentication.instrumentation import Instrumentation, NullInstrumentation
from authentication.resolution.write_behind import WriteBehind
from authentication.settings import AuthenticationSettings
from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential, SessionKind
from database import clock, queries
from database.engine.session import Database

log = logging.getLogger("counterfoil.last_used")

# What cannot be written while the database is down is dropped beyond this.
_MAX_PENDING = 50_000


class LastUsedWriter:
    """`record_use` is called on the event loop for each use, and only adds it to the next batch."""

    def __init__(
        self,
        settings: AuthenticationSettings,
        database: Database,
        instrumentation: Instrumentation = NullInstrumentation(),
    ) -> None:
        self._settings = settings
        self._instrumentation = instrumentation
        self._database = database
        self._sessions: set[UUID] = set()
        self._api_keys: set[UUID] = set()
        self._browser_settings = policies.for_browsers(settings)
        self._renewals: dict[int, AuthenticationSettings] = {}
        self._oldest: float | None = None
        self._writer = WriteBehind(self._write)
        self.start, self.stop = self._writer.start, self._writer.stop

    def record_use(self, kind: CredentialKind, found: LiveCredential) -> None:
        """Add a use that is due to be written, and a token that is due to be extended."""
        if self._is_due(found) and self.waiting() < _MAX_PENDING:
            if kind is CredentialKind.API_KEY:
                self._api_keys.add(UUID(str(found.credential_id)))
            else:
                self._sessions.add(UUID(found.session_id))
            if self._oldest is None:
                self._oldest = time.monotonic()
            self._writer.schedule()
        settings = self._settings
        if found.session_kind == SessionKind.BROWSER:
            settings = self._browser_settings
        if settings.rolling_tokens and _is_due_for_renewal(found, settings):
            self._renewals[int(found.credential_id)] = settings
            # It must be written before the token expires.
            self._writer.schedule(immediately=True)

    def waiting(self) -> int:
        """How many uses are pending."""
        return len(self._sessions) + len(self._api_keys)

    def _is_due(self, found: LiveCredential) -> bool:
        if not self._settings.track_last_used:
            return False
        last = found.last_used_at
        return last is None or found.looked_up_at - last >= self._settings.last_used_seconds

    async def _write(self) -> None:
        sessions, self._sessions = self._sessions, set()
        api_keys, self._api_keys = self._api_keys, set()
        renewals, self._renewals = self._renewals, {}
        oldest, self._oldest = self._oldest, None
        if not (sessions or api_keys or renewals):
            return
        uses = len(sessions) + len(api_keys)
        try:
            await self._database.run(lambda db: self._store(db, sessions, api_keys, renewals))
        except (DatabaseUnavailable, DBAPIError) as error:
            # Whatever is wrong with the database now, it may be over by the next use.
            log.warning("uses of %d credentials were not recorded: %s", uses, type(error).__name__)
            self._instrumentation.last_used_dropped(credentials=uses)
        except Exception:
            # An exception would end the only task that writes.
            log.exception("uses of %d credentials were not recorded", uses)
            self._instrumentation.last_used_dropped(credentials=uses)
        else:
            if oldest is not None:
                self._instrumentation.last_used_written(
                    credentials=uses, lag=time.monotonic() - oldest
                )

    def _store(
        self,
        db: Session,
        sessions: Iterable[UUID],
        api_keys: Iterable[UUID],
        renewals: Mapping[int, AuthenticationSettings],
    ) -> None:
        queries.last_used.touch_sessions(db, sorted(sessions))
        queries.last_used.touch_api_keys(db, sorted(api_keys))
        now = clock.read(db)
        for token, session_end in queries.access_tokens.lock_unexpired(db, sorted(renewals)):
            end = policies.access_token_end(renewals[token.id], now, session_end)
            token.expires_at = max(end, token.expires_at)


def _is_due_for_renewal(found: LiveCredential, settings: AuthenticationSettings) -> bool:
    if found.expires_at is None or found.session_expires_at is None:
        return False
    return policies.is_due_for_renewal(
        settings,
        now=found.looked_up_at,
        expires_at=found.expires_at,
        session_end=found.session_expires_at,
    )
