"""Records in the audit log why credentials are rejected, in the background and in bounded numbers.

A client can send a rejected token a thousand times a second, so events are written in the
background, and their number is bounded. A token from one network is one event in ten minutes, all
unknown tokens from one network are one event, and each credential, user and network has a limit of
events, as have all of them together. Of what is beyond, only the number is recorded.
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
from authentication.throttling.memory import Allowance
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
_ANY_NETWORK = object()

# Events in ten minutes.
_MAX_OF_CREDENTIAL = 5
_MAX_OF_USER = 20
_MAX_OF_NETWORK = 50
_MAX_TOGETHER = 200


class _RejectedToken(NamedTuple):
    """`kind` is None for what cannot be a token of ours."""

    event: Event
    kind: TokenKind | None
    digest: bytes
    network: str | None


class _First(NamedTuple):
    """Of several rejections of one token, what is recorded of the first. `reason` may be open."""

    origin: Origin
    reason: str | None


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
        self._allowance = Allowance(seconds=_REPEAT_SECONDS, clock=clock)
        self._pending: Counter[_RejectedToken] = Counter()
        self._first: dict[_RejectedToken, _First] = {}
        # Rejections of which only the number is known.
        self._overflow = 0
        self._writer = WriteBehind(self._write)
        self.start, self.stop = self._writer.start, self._writer.stop

    def record(
        self,
        token: str,
        ip: str | None,
        *,
        event: Event = Event.TOKEN_REFUSED,
        reason: str | None = None,
    ) -> None:
        """An access token, a refresh token or an API key has been rejected.

        Without a reason, it is found out later why the token is not live.
        """
        if event is Event.TOKEN_REFUSED and not self._is_on:
            return
        kind, digest = tokens.recognise(token) or (None, b"")
        origin = Origin(ip=ip)
        rejected = _RejectedToken(event, kind, digest, origin.network)
        if rejected not in self._pending and len(self._pending) >= _MAX_PENDING:
            self._overflow += 1
        elif rejected not in self._recent:
            self._pending[rejected] += 1
            self._first.setdefault(rejected, _First(origin, reason))
            self._writer.schedule()

    async def _write(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, Counter()
        first, self._first = self._first, {}
        overflow, self._overflow = self._overflow, 0
        try:
            self._overflow += await self._database.run(
                lambda db: self._store(db, pending, first, overflow)
            )
        except (DatabaseUnavailable, DBAPIError) as error:
            log.warning(
                "the audit log lacks %d events of rejected tokens: %s",
                len(pending),
                type(error).__name__,
            )
        except Exception:
            # An exception would end the only task that writes.
            log.exception("the audit log lacks %d events of rejected tokens", len(pending))

    def _store(
        self,
        db: Session,
        pending: Counter[_RejectedToken],
        first: dict[_RejectedToken, _First],
        overflow: int,
    ) -> int:
        """Returns how many rejections are left for a later event."""
        rejections = _explain(db, pending)
        unknown: Counter[str | None] = Counter()
        origins: dict[str | None, Origin] = {}
        for rejected, count in pending.items():
            rejection, (origin, reason) = rejections.get(rejected.digest), first[rejected]
            if rejection is None:
                unknown[rejected.network] += count
                origins.setdefault(rejected.network, origin)
                continue
            known = rejection._replace(reason=reason or rejection.reason)
            if known.reason is None or rejected in self._recent:
                continue
            if self._may_record(rejected, origin, rejection.user_id):
                self._recent.add(rejected)
                _record_known(db, rejected, known, origin, count)
            else:
                overflow += count
        for network, count in unknown.most_common():
            if len(unknown) <= _MAX_UNKNOWN_EVENTS and self._may_record_unknown(network):
                _record_unknown(db, origins[network], count)
            else:
                overflow += count
        if overflow and self._recent.add(_ANY_NETWORK):
            _record_unknown(db, Origin(), overflow)
            return 0
        return overflow

    def _may_record(self, rejected: _RejectedToken, origin: Origin, user_id: int) -> bool:
        limits = {
            f"credential {rejected.digest.hex()}": _MAX_OF_CREDENTIAL,
            f"user {user_id}": _MAX_OF_USER,
            f"network {origin.wide_network or origin.network}": _MAX_OF_NETWORK,
            "all": _MAX_TOGETHER,
        }
        return self._allowance.take(limits) is None

    def _may_record_unknown(self, network: str | None) -> bool:
        if network in self._recent or self._allowance.take({"unknown": _MAX_TOGETHER}) is not None:
            return False
        return self._recent.add(network)


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
    refresh = [rejected.digest for rejected in pending if rejected.kind is TokenKind.REFRESH]
    codes = [rejected.digest for rejected in pending if rejected.kind is TokenKind.CODE]
    found = [
        *(queries.rejected_tokens.explain_codes(db, codes) if codes else ()),
        *(queries.rejected_tokens.explain_access_tokens(db, access) if access else ()),
        *(queries.rejected_tokens.explain_refresh_tokens(db, refresh) if refresh else ()),
        *(queries.rejected_tokens.explain_api_keys(db, keys) if keys else ()),
    ]
    return {rejection.digest: rejection for rejection in found}


def _record_known(
    db: Session, rejected: _RejectedToken, rejection: Rejection, origin: Origin, count: int
) -> None:
    """Without an actor: the sender may not be the user."""
    named = "api_key" if rejected.kind is TokenKind.API_KEY else "session"
    audit.record(
        db,
        rejected.event,
        origin=origin,
        subject=audit.user(rejection.user_id),
        reason=rejection.reason,
        count=count,
        **{named: rejection.credential_id},
    )


def _record_unknown(db: Session, origin: Origin, count: int) -> None:
    audit.record(
        db, Event.TOKEN_REFUSED, origin=origin, subject=None, reason="unknown", count=count
    )
