"""Exchanges refresh tokens for new pairs. A second use indicates theft and revokes the session."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.audit import Event, Origin, Reason
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.errors import InvalidRefreshToken, InvalidScope
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import AccessToken, LoginSession, RefreshToken, User


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What a client sends to refresh. `scope` may narrow the new access token."""

    refresh_token: str
    scope: str | None = None
    client_id: str | None = None


async def refresh(service: Service, request: RefreshRequest, *, origin: Origin) -> TokenPair:
    """Mark the token as used and issue a new pair in its session.

    Raises InvalidRefreshToken, also for a token that was used before: then the session is revoked,
    because one of the two clients has stolen the token. Raises InvalidScope, and then the token is
    not marked as used.
    """
    exchange = _Exchange(service.settings, request, origin)
    outcome = None
    if tokens.kind_of(request.refresh_token) is TokenKind.REFRESH:
        outcome = await service.database.run(exchange.run)
    if outcome is None:
        service.rejected_tokens.record(request.refresh_token, origin.ip)
        raise InvalidRefreshToken
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Everything that a refresh reads and writes, in one transaction.

    Failures are returned, because raising them would roll back their audit events and the
    revocation of the session.
    """

    settings: AuthenticationSettings
    request: RefreshRequest
    origin: Origin

    def run(self, db: Session) -> TokenPair | CounterfoilError | None:
        """None for a token that was never issued, or has been pruned."""
        digest = tokens.digest(self.request.refresh_token)
        found = queries.refresh_tokens.find_and_lock_user(db, digest)
        if found is None:
            return None
        token, user = found
        # The locks make concurrent exchanges run one after the other.
        session = queries.sessions.lock_valid(db, token.session_id)
        rows = queries.refresh_tokens.lock(db, digest)
        now = clock.read(db)
        if session is None or rows is None:
            return self._reject(db, token, user, reason=Reason.SESSION_ENDED)
        if not policies.can_issue_tokens(now, session.expires_at):
            return self._reject(db, token, user, reason=Reason.SESSION_ENDED)
        if session.kind != SessionKind.API:
            return self._reject(db, token, user, reason=Reason.ANOTHER_KIND)
        if session.client_id is not None and session.client_id != self.request.client_id:
            return self._reject(db, token, user, reason=Reason.ANOTHER_CLIENT)
        if not policies.is_refreshable(self.settings, now, token):
            return self._reject_expired_or_reused(db, token, user)
        return self._issue(db, rows, session, user)

    def _issue(
        self,
        db: Session,
        rows: tuple[RefreshToken, AccessToken],
        session: LoginSession,
        user: User,
    ) -> TokenPair | InvalidScope:
        token, _ = rows
        available = issuance.effective_scopes(user, token.scopes)
        try:
            narrowed = permissions.narrow(self.request.scope, available)
        except InvalidScope as error:
            self._record(db, Event.REFRESH_FAILED, token, user, reason=Reason.INVALID_SCOPE)
            return error
        session.last_used_at = clock.read(db)
        issued = issuance.issue(
            db,
            self.settings,
            session=session,
            user=user,
            granted=token.scopes,
            scopes=token.scopes if narrowed is None else narrowed,
            exchanged=rows,
        )
        self._record(db, Event.TOKEN_REFRESHED, token, user)
        return issued

    def _reject_expired_or_reused(
        self, db: Session, token: RefreshToken, user: User
    ) -> InvalidRefreshToken:
        """A reused token also revokes its session."""
        if token.first_used_at is None:
            self._record(db, Event.REFRESH_FAILED, token, user, reason=Reason.EXPIRED)
        else:
            queries.sessions.revoke(db, token.session_id, reason=Reason.REFRESH_TOKEN_REUSE)
            self._record(db, Event.REFRESH_REUSED, token, user)
        return InvalidRefreshToken()

    def _reject(
        self, db: Session, token: RefreshToken, user: User, *, reason: Reason
    ) -> InvalidRefreshToken:
        """Recorded without an actor: the sender may not be the user."""
        _record(db, Event.REFRESH_FAILED, self.origin, token, user, reason=reason)
        return InvalidRefreshToken()

    def _record(
        self, db: Session, event: Event, token: RefreshToken, user: User, **detail: Reason
    ) -> None:
        _record(db, event, self.origin.acting_as(audit.user(user.id)), token, user, **detail)


def _record(
    db: Session, event: Event, origin: Origin, token: RefreshToken, user: User, **detail: Reason
) -> None:
    audit.record(
        db,
        event,
        origin=origin,
        subject=audit.user(user.id),
        session=str(token.session_id),
        **detail,
    )
