"""Begins the session of a login, whatever has proved who the user is."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.audit import Event, Origin, Reason
from authentication.clients.grants import Grant, has_grant
from authentication.credentials import issuance, session_limit
from authentication.credentials.issuance import TokenPair
from authentication.errors import EmailUnverified, InvalidScope, SessionLimitReached
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import known_networks
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from counterfoil.permissions import split_scopes
from database import clock, queries
from database.models import LoginSession, OAuthClient, User


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is to begin, by these settings. `amr` names what the user has given.

    `has_second_factor` says whether that was more than a password. `identifier` is the name by
    which the user has logged in, for the audit log. A registered `client` gets no scopes but those
    of its registration.
    """

    service: Service
    settings: AuthenticationSettings
    origin: Origin
    amr: str
    has_second_factor: bool = False
    scope: str | None = None
    client_id: str | None = None
    client: OAuthClient | None = None
    kind: str = SessionKind.API
    identifier: str | None = None

    def add(self, db: Session, user: User) -> LoginSession | None:
        """None if the user was disabled or deleted meanwhile, or their sessions revoked.

        And without a second factor, if the user has one.
        """
        oauth_client_id = self.client.id if self.client else None
        if oauth_client_id and queries.oauth_clients.hold(db, oauth_client_id) is None:
            return None
        now = clock.read(db)
        fields = {
            "oauth_client_id": oauth_client_id,
            "kind": self.kind,
            "client_id": self.client_id,
            "ip": self.origin.ip,
            "user_agent": self.origin.user_agent,
            "created_at": now,
            "last_used_at": now,
            "confirmed_at": now,
            "second_factor_at": now if self.has_second_factor else None,
            "amr": self.amr,
            "expires_at": policies.session_end(self.settings, now),
        }
        return queries.sessions.begin(db, user_id=user.id, epoch=user.session_epoch, fields=fields)

    def issue(self, db: Session, user: User, session: LoginSession) -> TokenPair | CounterfoilError:
        """The first tokens of a session that was added in this transaction.

        The user must be loaded with roles and known addresses. If the tokens cannot be issued,
        returns why, and the session is deleted again: no client has its tokens.
        """
        try:
            return self._issue(db, user, session)
        except (InvalidScope, SessionLimitReached) as error:
            db.delete(session)
            self.record_failure(db, user, reason=Reason(error.code))
            return error

    def demands_verification(self, user: User) -> bool:
        """Whether the user has to verify their address first."""
        if not self.service.has_mail or user.is_email_verified:
            return False
        return self.service.mailing.settings.require_verified_email

    def reject_unverified(self, db: Session, user: User) -> EmailUnverified:
        """Send a mail by which the address can be verified, as no session can ask for one.

        The user must be locked. If there were too many for the address already, the latest of them
        still works.
        """
        self.service.mailing.outbox.add_verification(db, user, origin=self.origin)
        self.record_failure(db, user, reason=Reason.EMAIL_UNVERIFIED)
        return EmailUnverified()

    def record_failure(
        self, db: Session, user: User | None, *, reason: Reason, why: str | None = None
    ) -> None:
        """Record why the login has failed."""
        audit.record(
            db,
            Event.LOGIN_FAILED,
            origin=self.origin,
            subject=audit.user(user.id) if user else None,
            reason=reason,
            # People type passwords into the field for the name; only a known name is recorded.
            identifier=self.identifier if user else None,
            client_id=self.client_id,
            why=why,
        )

    def _issue(self, db: Session, user: User, session: LoginSession) -> TokenPair:
        pair, others = issuance.begin(
            db,
            self.settings,
            session=session,
            user=user,
            scopes=self._scopes(user, session),
            is_refreshable=self.client is None or has_grant(self.client, Grant.REFRESH_TOKEN),
        )
        events: list[tuple[Event, dict[str, Any]]] = [
            (Event.LOGIN_SUCCEEDED, {**self._describe(session), **self._place(user)})
        ]
        for revoked in session_limit.enforce(db, self.settings, session, others):
            detail = {"session": str(revoked), "reason": Reason.SESSION_LIMIT}
            events.append((Event.SESSION_REVOKED, detail))
        subject = audit.user(user.id)
        audit.record_together(db, events, origin=self.origin.acting_as(subject), subject=subject)
        return pair

    def _scopes(self, user: User, session: LoginSession) -> str | None:
        available = issuance.effective_scopes(user, None, session=session)
        if self.client is None:
            return permissions.narrow(self.scope, available)
        available &= split_scopes(self.client.scopes)
        return permissions.narrow(self.scope, available) or permissions.join(available)

    def _describe(self, session: LoginSession) -> dict[str, str | None]:
        return {"session": str(session.id), "client_id": self.client_id, "amr": self.amr}

    def _place(self, user: User) -> dict[str, bool]:
        """Whether the user logs in from a place that was not known, where places are remembered."""
        network = self.origin.network
        if network is None or not self.settings.login_throttle or not self.service.has_mail:
            return {}
        return {} if known_networks.is_known(user, network) else {"new_place": True}
