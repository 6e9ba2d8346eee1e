"""Notes in the audit log why credentials are refused, behind the requests' back and not too often.

Whoever sends a bad token can send it a thousand times a second, so that neither the request nor the
table may pay for each: a token from one address is one event in ten minutes, tokens that we never
issued are one event for their address, and where there are too many at once only their number is
kept.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.resolution.write_behind import WriteBehind
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import DatabaseUnavailable
from counterfoil.tokens import TokenKind
from database import queries
from database.engine.session import Database
from database.queries.rejected_tokens import Rejection

log = logging.getLogger("counterfoil.refusals")

_QUIET_SECONDS = 600.0
_MOST_REMEMBERED = 10_000
_MOST_WAITING = 200
_MOST_STRANGERS = 10
_ANYWHERE = object()


class _Bad(NamedTuple):
    """A credential and where it came from. `kind` is None for what cannot be a token of ours."""

    kind: TokenKind | None
    digest: bytes
    ip: str | None


class RefusalLog:
    """`note` is called on the event loop for each refusal, and does no more than remember it."""

    def __init__(
        self,
        settings: AuthenticationSettings,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_on = settings.audit_refused_tokens
        self._database = database
        self._told = _Told(clock)
        self._waiting: Counter[_Bad] = Counter()
        self._uncounted = 0
        self._writer = WriteBehind(self._write)
        self.start, self.stop = self._writer.start, self._writer.stop

    def note(self, token: str, ip: str | None) -> None:
        """A token or API key has been refused."""
        if not self._is_on:
            return
        kind = tokens.kind_of(token)
        bad = _Bad(kind, tokens.digest(token) if kind else b"", ip)
        if bad not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            self._uncounted += 1
        elif bad not in self._told:
            self._waiting[bad] += 1
            self._writer.wake()

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, Counter()
        uncounted, self._uncounted = self._uncounted, 0
        if not waiting:
            return
        try:
            self._uncounted += await self._database.run(
                lambda db: self._store(db, waiting, uncounted)
            )
        except (DatabaseUnavailable, DBAPIError) as error:
            log.warning("%d refusals were not noted: %s", len(waiting), type(error).__name__)
        except Exception:
            # The task that calls this is the only one there is, and the next round must come.
            log.exception("%d refusals were not noted", len(waiting))

    def _store(self, db: Session, waiting: Counter[_Bad], uncounted: int) -> int:
        """Returns how many are still to be counted, some other time."""
        known = _explain(db, waiting)
        strangers: Counter[str | None] = Counter()
        for bad, count in waiting.items():
            found = known.get(bad.digest)
            if found is None:
                strangers[bad.ip] += count
            elif found.reason is not None and self._told.add(bad):
                _record_known(db, bad, found, count)
        for ip, count in strangers.most_common():
            if len(strangers) <= _MOST_STRANGERS and self._told.add(ip):
                _record_unknown(db, ip, count)
            else:
                uncounted += count
        if uncounted and self._told.add(_ANYWHERE):
            _record_unknown(db, None, uncounted)
            return 0
        return uncounted


class _Told:
    """What has been told in the last ten minutes, as far as it can be remembered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[object, float] = {}

    def __contains__(self, what: object) -> bool:
        return self._until.get(what, -math.inf) > self._clock()

    def add(self, what: object) -> bool:
        """False if it was there."""
        if what in self:
            return False
        self._until.pop(what, None)
        if len(self._until) >= _MOST_REMEMBERED:
            # The one told longest ago is the first.
            del self._until[next(iter(self._until))]
        self._until[what] = self._clock() + _QUIET_SECONDS
        return True


def _explain(db: Session, waiting: Counter[_Bad]) -> dict[bytes, Rejection]:
    access = [bad.digest for bad in waiting if bad.kind is TokenKind.ACCESS]
    keys = [bad.digest for bad in waiting if bad.kind is TokenKind.API_KEY]
    found = [
        *(queries.rejected_tokens.explain_access_tokens(db, access) if access else ()),
        *(queries.rejected_tokens.explain_api_keys(db, keys) if keys else ()),
    ]
    return {refusal.digest: refusal for refusal in found}


def _record_known(db: Session, bad: _Bad, found: Rejection, count: int) -> None:
    named = "session" if bad.kind is TokenKind.ACCESS else "api_key"
    audit.record(
        db,
        Event.TOKEN_REFUSED,
        origin=Origin(ip=bad.ip),
        subject=audit.user(found.user_id),
        reason=found.reason,
        count=count,
        **{named: found.credential_id},
    )


def _record_unknown(db: Session, ip: str | None, count: int) -> None:
    origin = Origin(ip=ip)
    audit.record(
        db, Event.TOKEN_REFUSED, origin=origin, subject=None, reason="unknown", count=count
    )
