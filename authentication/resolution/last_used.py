"""Notes when credentials were last used and extends rolling tokens, behind the requests' back.

Uses are gathered for a moment and written by a few statements for all of them; a session is written
at most once a minute. What is lost with a crash is only that note.
"""

import logging
import time
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from authentication import policies
from authentication.instrumentation import Instrumentation, NullInstrumentation
from authentication.resolution.write_behind import WriteBehind
from authentication.settings import AuthenticationSettings
from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind, LiveCredential
from database import clock, queries
from database.engine.session import Database

log = logging.getLogger("counterfoil.last_used")

# What cannot be written while the database is down is dropped beyond this.
_MOST_WAITING = 50_000


class LastUsedWriter:
    """`note` is called on the event loop for each use, and does no more than remember it."""

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
        self._renewals: set[int] = set()
        self._oldest: float | None = None
        self._writer = WriteBehind(self._write)
        self.start, self.stop = self._writer.start, self._writer.stop

    def note(self, kind: CredentialKind, found: LiveCredential) -> None:
        """Remember a use that is due to be written, and a token that is due to be extended."""
        if self._is_due(found) and self.waiting() < _MOST_WAITING:
            if kind is CredentialKind.API_KEY:
                self._api_keys.add(UUID(str(found.credential_id)))
            else:
                self._sessions.add(UUID(found.session_id))
            if self._oldest is None:
                self._oldest = time.monotonic()
            self._writer.wake()
        if self._settings.rolling_tokens and self._is_due_for_renewal(found):
            self._renewals.add(int(found.credential_id))
            # It must come before the token's end.
            self._writer.wake(hurry=True)

    def waiting(self) -> int:
        """How many uses have been noted and not yet written."""
        return len(self._sessions) + len(self._api_keys)

    def _is_due(self, found: LiveCredential) -> bool:
        if not self._settings.track_last_used:
            return False
        last = found.last_used_at
        return last is None or found.looked_up_at - last >= self._settings.last_used_seconds

    def _is_due_for_renewal(self, found: LiveCredential) -> bool:
        if found.expires_at is None or found.session_expires_at is None:
            return False
        return policies.is_due_for_renewal(
            self._settings,
            now=found.looked_up_at,
            expires_at=found.expires_at,
            session_end=found.session_expires_at,
        )

    async def _write(self) -> None:
        sessions, self._sessions = self._sessions, set()
        api_keys, self._api_keys = self._api_keys, set()
        renewals, self._renewals = self._renewals, set()
        oldest, self._oldest = self._oldest, None
        if not (sessions or api_keys or renewals):
            return
        uses = len(sessions) + len(api_keys)
        try:
            await self._database.run(lambda db: self._store(db, sessions, api_keys, renewals))
        except (DatabaseUnavailable, DBAPIError) as error:
            # Whatever is wrong with the database now, it may be over by the next use.
            log.warning("uses of %d credentials were not noted: %s", uses, type(error).__name__)
            self._instrumentation.last_used_dropped(credentials=uses)
        except Exception:
            # This task is the only one there is: whatever went wrong, the next round must come.
            log.exception("uses of %d credentials were not noted", uses)
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
        renewals: Iterable[int],
    ) -> None:
        queries.last_used.touch_sessions(db, sorted(sessions))
        queries.last_used.touch_api_keys(db, sorted(api_keys))
        now = clock.read(db)
        for token, session_end in queries.access_tokens.lock_unexpired(db, sorted(renewals)):
            end = policies.access_token_end(self._settings, now, session_end)
            token.expires_at = max(end, token.expires_at)
