"""Logs a user in: checks the password, begins a session and issues its first tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, labels, permissions, policies
from authentication.audit import Event, Origin, Reason
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.emails import LoginName
from authentication.errors import (
    EmailUnverified,
    InvalidCredentials,
    InvalidScope,
    SessionLimitReached,
    TooManyAttempts,
)
from authentication.passwords.hasher import PasswordHasher
from authentication.service import Service
from authentication.settings import AuthenticationSettings, SessionLimitPolicy
from authentication.throttling import known_networks
from authentication.throttling.admission import Admission
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import clock, queries
from database.models import LoginSession, User


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What a client sends to log in. `client_id` is a label that it chooses for itself."""

    name: LoginName
    password: str
    scope: str | None = None
    client_id: str | None = None
    session_kind: SessionKind = SessionKind.API


async def log_in(
    service: Service,
    request: LoginRequest,
    *,
    origin: Origin,
    settings: AuthenticationSettings | None = None,
) -> TokenPair:
    """Check the password and begin a session, by the service's settings unless others are given.

    Raises InvalidCredentials for an unknown user, a wrong password or a disabled user,
    InvalidScope, SessionLimitReached, TooManyAttempts and HashingBusy. InvalidCredentials takes the
    same time in all three cases, so that a client cannot tell them apart. Raises InvalidField for a
    `client_id` with invisible characters.
    """
    if request.client_id is not None:
        labels.clean("client_id", request.client_id)
    login = _Login(request, origin, settings or service.settings, service)
    async with service.throttle.admit_login(request.name, origin) as admission:
        check = await login.verify(service.hasher, admission)
    user = admission.user
    if user is not None and check.is_right and user.is_active:
        await _charge(service, user, admission)
    # A failure is returned, so that its audit event is committed, and raised only then.
    outcome = await service.database.run(lambda db: login.begin_or_reject(db, admission, check))
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


async def _charge(service: Service, user: User, admission: Admission[User | None]) -> None:
    """Count a login with the right password. Raises TooManyAttempts, and then it is no failure."""
    try:
        service.write_budget.charge_login(user.id)
    except TooManyAttempts:
        await service.database.run(admission.undo)
        raise


class _PasswordCheck(NamedTuple):
    """Result of a password check. `upgraded_hash` replaces a hash that is not by the settings."""

    is_right: bool
    upgraded_hash: str | None


@dataclass(frozen=True, slots=True)
class _Login:
    """One login. Its result is stored in one transaction, once the password has been checked."""

    request: LoginRequest
    origin: Origin
    settings: AuthenticationSettings
    service: Service

    async def verify(
        self, hasher: PasswordHasher, admission: Admission[User | None]
    ) -> _PasswordCheck:
        """Check the password. A failure takes the same time in any case. Raises HashingBusy."""
        user = admission.user
        hashed = user.hashed_password if user else None
        # The time of an upgrade would reveal that the password of a disabled user is right.
        upgrade = user is not None and user.is_active
        result = await admission.hash(
            lambda: hasher.verify(self.request.password, hashed, upgrade=upgrade),
            if_abandoned=lambda db, found: self._record_abandoned(
                db, admission, _PasswordCheck(*found)
            ),
        )
        return _PasswordCheck(*result)

    def _record_abandoned(
        self, db: Session, admission: Admission[User | None], check: _PasswordCheck
    ) -> None:
        """Record a login whose client is gone. A right password begins no session either."""
        user = admission.user
        if user is None or not check.is_right or not user.is_active:
            self._reject(db, user, reason=_reason(user, check))
        else:
            admission.undo(db)
            self._reject(db, user, reason=Reason.CLIENT_GONE)

    def begin_or_reject(
        self, db: Session, admission: Admission[User | None], check: _PasswordCheck
    ) -> TokenPair | CounterfoilError:
        """Begin a session, or record why the login fails and return the error.

        The user may have been disabled or deleted while the password was hashed.
        """
        user = admission.user
        if user is None or not check.is_right or not user.is_active:
            return self._reject(db, user, reason=_reason(user, check))
        if self._demands_verification(user):
            return self._reject_unverified(db, user, admission)
        session = self._add_session(db, user)
        if session is None:
            return self._reject(db, user, reason=Reason.ENDED_WHILE_LOGGING_IN)
        admission.record_success(db)
        if check.upgraded_hash is not None:
            old, new = user.hashed_password, check.upgraded_hash
            queries.users.upgrade_hash(db, user.id, old=old, new=new)
        try:
            return self._issue(db, user, session)
        except (InvalidScope, SessionLimitReached) as error:
            # The session was added above, in this transaction, and no client has its tokens.
            db.delete(session)
            self._reject(db, user, reason=Reason(error.code))
            return error

    def _demands_verification(self, user: User) -> bool:
        if not self.service.has_mail or user.is_email_verified:
            return False
        return self.service.mailing.settings.require_verified_email

    def _reject_unverified(
        self, db: Session, user: User, admission: Admission[User | None]
    ) -> CounterfoilError:
        """Send a mail by which the address can be verified, as no session can ask for one."""
        locked = queries.users.lock(db, user.id)
        if locked is None:
            return self._reject(db, user, reason=Reason.ENDED_WHILE_LOGGING_IN)
        admission.undo(db)
        # If there were too many for the address already, the latest of them still works.
        self.service.mailing.outbox.add_verification(db, locked, origin=self.origin)
        self._reject(db, user, reason=Reason.EMAIL_UNVERIFIED)
        return EmailUnverified()

    def _add_session(self, db: Session, user: User) -> LoginSession | None:
        """None if the user was disabled or deleted meanwhile, or their sessions revoked."""
        now = clock.read(db)
        fields = {
            "kind": self.request.session_kind,
            "client_id": self.request.client_id,
            "ip": self.origin.ip,
            "user_agent": self.origin.user_agent,
            "created_at": now,
            "last_used_at": now,
            "confirmed_at": now,
            "expires_at": policies.session_end(self.settings, now),
        }
        return queries.sessions.begin(db, user_id=user.id, epoch=user.session_epoch, fields=fields)

    def _issue(self, db: Session, user: User, session: LoginSession) -> TokenPair:
        """The first tokens of the session. Raises InvalidScope, SessionLimitReached."""
        available = issuance.effective_scopes(user, None)
        scopes = permissions.narrow(self.request.scope, available)
        pair, others = issuance.begin(db, self.settings, session=session, user=user, scopes=scopes)
        events: list[tuple[Event, dict[str, Any]]] = [
            (Event.LOGIN_SUCCEEDED, {**self._describe(session), **self._place(user)})
        ]
        for revoked in self._enforce_session_limit(db, session, others):
            detail = {"session": str(revoked), "reason": Reason.SESSION_LIMIT}
            events.append((Event.SESSION_REVOKED, detail))
        subject = audit.user(user.id)
        audit.record_together(db, events, origin=self.origin.acting_as(subject), subject=subject)
        return pair

    def _describe(self, session: LoginSession) -> dict[str, str | None]:
        return {"session": str(session.id), "client_id": self.request.client_id}

    def _place(self, user: User) -> dict[str, bool]:
        """Whether the user logs in from a place that was not known, where places are remembered."""
        network = self.origin.network
        if network is None or not self.settings.login_throttle or not self.service.has_mail:
            return {}
        return {} if known_networks.is_known(user, network) else {"new_place": True}

    def _enforce_session_limit(
        self, db: Session, session: LoginSession, others: int
    ) -> Sequence[UUID]:
        """Revoke the sessions that exceed the limit. Raises SessionLimitReached."""
        surplus = policies.sessions_beyond_limit(self.settings, others)
        if not surplus:
            return []
        return queries.sessions.evict(
            db,
            session,
            count=surplus,
            idle_first=self.settings.session_limit_policy is SessionLimitPolicy.EVICT_IDLE,
            reason=Reason.SESSION_LIMIT,
        )

    def _reject(self, db: Session, user: User | None, *, reason: Reason) -> InvalidCredentials:
        audit.record(
            db,
            Event.LOGIN_FAILED,
            origin=self.origin,
            subject=audit.user(user.id) if user else None,
            reason=reason,
            # People type passwords into the field for the name; only a known name is recorded.
            identifier=self.request.name.typed if user else None,
            client_id=self.request.client_id,
        )
        return InvalidCredentials()


def _reason(user: User | None, check: _PasswordCheck) -> Reason:
    if user is None:
        return Reason.UNKNOWN_USER
    return Reason.DISABLED if check.is_right else Reason.WRONG_PASSWORD
