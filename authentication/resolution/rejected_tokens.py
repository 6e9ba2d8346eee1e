"""Records in the audit log why credentials are rejected, in the background and in bounded numbers.

A client can send a rejected token a thousand times a second, so neither the request nor the table
may pay for each. A token from one address is one event in ten minutes, all unknown tokens from one
address are one event, and if there are too many at once, only their number is recorded.
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

log = logging.getLogger("counterfoil.rejected_tokens")

_REPEAT_SECONDS = 600.0
_MAX_RECENT = 10_000
_MAX_PENDING = 200
_MAX_UNKNOWN_EVENTS = 10
_ANY_ADDRESS = object()


class _RejectedToken(NamedTuple):
    """`kind` is None for what cannot be a token of ours."""

    kind: TokenKind | None
    digest: bytes
    ip: str | None


class RejectedTokenAuditor:
    """`record` is called on the event loop for each rejection, and adds it to the next batch."""

    def __init__(
        self,
        settings: AuthenticationSettings,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_on = settings.audit_refused_tokens
        self._database = database
        self._recent = _RecentEvents(clock)
        self._pending: Counter[_RejectedToken] = Counter()
        # Rejections of which only the number is known.
        self._overflow = 0
        self._writer = WriteBehind(self._write)
        self.start, self.stop = self._writer.start, self._writer.stop

    def record(self, token: str, ip: str | None) -> None:
        """An access token, a refresh token or an API key has been rejected."""
        if not self._is_on:
            return
        kind = tokens.kind_of(token)
        rejected = _RejectedToken(kind, tokens.digest(token) if kind else b"", ip)
        if rejected not in self._pending and len(self._pending) >= _MAX_PENDING:
            self._overflow += 1
        elif rejected not in self._recent:
            self._pending[rejected] += 1
            self._writer.schedule()

    async def _write(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, Counter()
        overflow, self._overflow = self._overflow, 0
        try:
            self._overflow += await self._database.run(
                lambda db: self._store(db, pending, overflow)
            )
        except (DatabaseUnavailable, DBAPIError) as error:
            log.warning("%d rejections were not recorded: %s", len(pending), type(error).__name__)
        except Exception:
            # An exception would end the only task that writes.
            log.exception("%d rejections were not recorded", len(pending))

    def _store(self, db: Session, pending: Counter[_RejectedToken], overflow: int) -> int:
        """Returns how many rejections are left for a later event."""
        rejections = _explain(db, pending)
        unknown: Counter[str | None] = Counter()
        for rejected, count in pending.items():
            rejection = rejections.get(rejected.digest)
            if rejection is None:
                unknown[rejected.ip] += count
            elif rejection.reason is not None and self._recent.add(rejected):
                _record_known(db, rejected, rejection, count)
        for ip, count in unknown.most_common():
            if len(unknown) <= _MAX_UNKNOWN_EVENTS and self._recent.add(ip):
                _record_unknown(db, ip, count)
            else:
                overflow += count
        if overflow and self._recent.add(_ANY_ADDRESS):
            _record_unknown(db, None, overflow)
            return 0
        return overflow


class _RecentEvents:
    """What was recorded in the last ten minutes, as far as it can be remembered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[object, float] = {}

    def __contains__(self, what: object) -> bool:
        return self._until.get(what, -math.inf) > self._clock()

    def add(self, what: object) -> bool:
        """Returns False if it was recorded already."""
        if what in self:
            return False
        self._until.pop(what, None)
        if len(self._until) >= _MAX_RECENT:
            # The oldest is the first.
            del self._until[next(iter(self._until))]
        self._until[what] = self._clock() + _REPEAT_SECONDS
        return True


def _explain(db: Session, pending: Counter[_RejectedToken]) -> dict[bytes, Rejection]:
    access = [rejected.digest for rejected in pending if rejected.kind is TokenKind.ACCESS]
    keys = [rejected.digest for rejected in pending if rejected.kind is TokenKind.API_KEY]
    found = [
        *(queries.rejected_tokens.explain_access_tokens(db, access) if access else ()),
        *(queries.rejected_tokens.explain_api_keys(db, keys) if keys else ()),
    ]
    return {rejection.digest: rejection for rejection in found}


def _record_known(db: Session, rejected: _RejectedToken, rejection: Rejection, count: int) -> None:
    named = "session" if rejected.kind is TokenKind.ACCESS else "api_key"
    audit.record(
        db,
        Event.TOKEN_REFUSED,
        origin=Origin(ip=rejected.ip),
        subject=audit.user(rejection.user_id),
        reason=rejection.reason,
        count=count,
        **{named: rejection.credential_id},
    )


def _record_unknown(db: Session, ip: str | None, count: int) -> None:
    origin = Origin(ip=ip)
    audit.record(
        db, Event.TOKEN_REFUSED, origin=origin, subject=None, reason="unknown", count=count
    )
