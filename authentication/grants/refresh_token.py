"""Exchanges refresh tokens for new pairs. A second use after the grace revokes the session."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.audit import Event, Origin, Reason
from authentication.clients import lifetimes
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.errors import InvalidRefreshToken, InvalidScope
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import clock, queries
from database.models import LoginSession, OAuthClient, RefreshToken, User
from database.queries.refresh_tokens import LockedPair, RefreshState


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What a client sends to refresh. `scope` may narrow the new access token."""

    refresh_token: str
    scope: str | None = None
    client_id: str | None = None
    client: OAuthClient | None = None
    """The registered client, which must be authenticated."""


async def refresh(service: Service, request: RefreshRequest, *, origin: Origin) -> TokenPair:
    """Mark the token as used and issue a new pair in its session.

    Raises InvalidRefreshToken, also for a token that was used before, unless within the grace
    (`refresh_grace_seconds`): then the session is revoked, because one of the two clients has
    stolen the token. Raises InvalidScope, and then the token is
    not marked as used. Raises TooManyAttempts for too many unknown tokens from one network, and for
    too many changes by one session.
    """
    limit = service.settings.refresh_misses_per_minute
    service.unknown_tokens.reject_flood("refresh", origin, limit=limit)
    state = await service.issued_tokens.find_refresh_token(request.refresh_token)
    if state is None:
        service.rejected_tokens.record(request.refresh_token, origin.ip)
        service.unknown_tokens.count_in("refresh", origin, limit=limit)
        raise InvalidRefreshToken
    # Only what may succeed, or reveals a theft, is worth a transaction that writes.
    outcome = _reason_against(state, request) or await _exchange(service, request, state, origin)
    if isinstance(outcome, Reason):
        _record_failure(service, request, origin, outcome)
        raise InvalidScope if outcome is Reason.INVALID_SCOPE else InvalidRefreshToken
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


def _reason_against(state: RefreshState, request: RefreshRequest) -> Reason | None:
    if not state.is_session_valid:
        return Reason.SESSION_ENDED
    if state.session_kind != SessionKind.API:
        return Reason.ANOTHER_KIND
    if state.client_id is not None and state.client_id != request.client_id:
        return Reason.ANOTHER_CLIENT
    if state.is_expired and not (state.is_used or state.is_superseded):
        return Reason.EXPIRED
    return None


async def _exchange(
    service: Service, request: RefreshRequest, state: RefreshState, origin: Origin
) -> TokenPair | CounterfoilError | Reason:
    # A thief with another session of the account must not be able to end this one.
    service.write_budget.charge(state.user_id, state.session_id, credential_only=True)
    settings = lifetimes.of_client(service.settings, request.client)
    exchange = _Exchange(settings, request, origin)
    return await service.database.run(exchange.run, is_untrusted=True)


def _record_failure(
    service: Service, request: RefreshRequest, origin: Origin, reason: Reason
) -> None:
    """In the background, and bounded: a client can repeat a failure at will."""
    service.rejected_tokens.record(
        request.refresh_token, origin.ip, event=Event.REFRESH_FAILED, reason=reason
    )


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Everything that a refresh reads and writes, in one transaction.

    A reuse is returned, because raising it would roll back its audit event and the revocation of
    the session. Of other failures the reason is returned.
    """

    settings: AuthenticationSettings
    request: RefreshRequest
    origin: Origin

    def run(self, db: Session) -> TokenPair | CounterfoilError | Reason:
        digest = tokens.digest(self.request.refresh_token)
        found = queries.refresh_tokens.find_and_lock_user(db, digest)
        if found is None:
            return Reason.SESSION_ENDED
        token, user = found
        # The locks make concurrent exchanges run one after the other.
        session = queries.sessions.use(db, token.session_id)
        pair = queries.refresh_tokens.lock(db, digest)
        now = clock.read(db)
        if (
            session is None
            or pair is None
            or not policies.can_issue_tokens(now, session.expires_at)
        ):
            return Reason.SESSION_ENDED
        if session.kind != SessionKind.API:
            return Reason.ANOTHER_KIND
        if session.client_id is not None and session.client_id != self.request.client_id:
            return Reason.ANOTHER_CLIENT
        if self._is_reuse(pair, now):
            return self._revoke_reused(db, token, user)
        if not policies.is_refreshable(self.settings, now, token):
            return Reason.EXPIRED
        return self._issue(db, pair, session, user)

    def _is_reuse(self, pair: LockedPair, now: datetime) -> bool:
        token = pair.token
        if policies.is_superseded(token) or pair.has_used_successor:
            return True
        is_used = token.first_used_at is not None
        return is_used and not policies.is_refreshable(self.settings, now, token)

    def _issue(
        self, db: Session, pair: LockedPair, session: LoginSession, user: User
    ) -> TokenPair | Reason:
        token = pair.token
        is_repeated = token.first_used_at is not None
        available = issuance.effective_scopes(user, token.scopes, session=session)
        try:
            narrowed = permissions.narrow(self.request.scope, available)
        except InvalidScope:
            return Reason.INVALID_SCOPE
        if pair.has_siblings and not is_repeated:
            # One of those who got a pair for the same token goes on; the others may be thieves.
            queries.refresh_tokens.expire_siblings(db, token)
        issued = issuance.exchange(
            db,
            self.settings,
            (token, pair.access_token),
            session=session,
            user=user,
            scopes=token.scopes if narrowed is None else narrowed,
        )
        event = Event.REFRESH_REPEATED if is_repeated else Event.TOKEN_REFRESHED
        self._record(db, event, token, user)
        return issued

    def _revoke_reused(self, db: Session, token: RefreshToken, user: User) -> InvalidRefreshToken:
        """Two clients have used the token, or tokens that it was exchanged for: one is a thief."""
        queries.sessions.revoke(db, token.session_id, reason=Reason.REFRESH_TOKEN_REUSE)
        self._record(db, Event.REFRESH_REUSED, token, user)
        return InvalidRefreshToken()

    def _record(self, db: Session, event: Event, token: RefreshToken, user: User) -> None:
        subject = audit.user(user.id)
        origin = self.origin.acting_as(subject)
        audit.record(db, event, origin=origin, subject=subject, session=str(token.session_id))
