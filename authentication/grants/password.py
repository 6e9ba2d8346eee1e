"""Logs a user in: checks the password, begins a session and issues its first tokens."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from authentication import audit, labels
from authentication.audit import Event, Origin, Reason
from authentication.clients import client_authentication, lifetimes
from authentication.clients.client_authentication import ClientCredentials
from authentication.clients.grants import Grant
from authentication.credentials.issuance import TokenPair
from authentication.emails import LoginName
from authentication.errors import InvalidCredentials, TooManyAttempts
from authentication.factors import methods, pending_logins
from authentication.factors.pending_logins import PendingLogin
from authentication.grants.new_sessions import NewSession
from authentication.passwords.hasher import PasswordHasher
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling.admission import Admission
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import queries
from database.models import OAuthClient, User


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What a client sends to log in. `client_id` is a label, unless such a client is registered."""

    name: LoginName
    password: str
    scope: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    session_kind: SessionKind = SessionKind.API


async def log_in(
    service: Service,
    request: LoginRequest,
    *,
    origin: Origin,
    settings: AuthenticationSettings | None = None,
) -> TokenPair:
    """Check the password and begin a session, by the service's settings unless others are given.

    Raises SecondFactorRequired if the user has one: then there is no session yet. Raises
    InvalidCredentials for an unknown user, a wrong password or a disabled user, InvalidScope,
    SessionLimitReached, TooManyAttempts and HashingBusy. InvalidCredentials takes the same time in
    all three cases, so that a client cannot tell them apart. Raises InvalidField for a `client_id`
    with invisible characters. Raises InvalidClient and UnauthorizedClient if it is that of a
    registered client, which has to prove it and to have the grant.
    """
    if request.client_id is not None:
        labels.clean("client_id", request.client_id)
    client = await _find_client(service, request, origin)
    settings = lifetimes.of_client(settings or service.settings, client)
    login = _Login(request, origin, settings, service, client)
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


async def _find_client(
    service: Service, request: LoginRequest, origin: Origin
) -> OAuthClient | None:
    sent = ClientCredentials(request.client_id, request.client_secret)
    client = await client_authentication.find_client(service, sent, origin=origin)
    client_authentication.demand_grant(client, Grant.PASSWORD)
    return client


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
    client: OAuthClient | None

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
        if self._new_session.demands_verification(user):
            return self._reject_unverified(db, user, admission)
        session = self._new_session.add(db, user)
        if session is None:
            return self._ask_or_reject(db, user, admission, check)
        admission.record_success(db)
        self._upgrade_hash(db, user, check)
        return self._new_session.issue(db, user, session)

    @property
    def _new_session(self) -> NewSession:
        return NewSession(
            self.service,
            self.settings,
            self.origin,
            amr=methods.PASSWORD,
            scope=self.request.scope,
            client_id=self.request.client_id,
            client=self.client,
            kind=self.request.session_kind,
            identifier=self.request.name.typed,
        )

    def _ask_or_reject(
        self,
        db: Session,
        user: User,
        admission: Admission[User | None],
        check: _PasswordCheck,
    ) -> CounterfoilError:
        """Ask for the second factor, if that is why no session has begun.

        The password alone resets no counter: somebody who knows it has to be slowed down.
        """
        locked = queries.users.lock(db, user.id)
        available = methods.of(queries.factors.count(db, user.id))
        is_unchanged = (
            locked is not None and locked.is_active and locked.session_epoch == user.session_epoch
        )
        if locked is None or not is_unchanged or not available:
            return self._reject(db, user, reason=Reason.ENDED_WHILE_LOGGING_IN)
        admission.undo(db)
        self._upgrade_hash(db, user, check)
        audit.record(
            db,
            Event.SECOND_FACTOR_ASKED,
            origin=self.origin,
            subject=audit.user(user.id),
            client_id=self.request.client_id,
        )
        login = PendingLogin(
            self.request.scope,
            self.request.client_id,
            self.request.session_kind,
            self.client.id if self.client else None,
        )
        return pending_logins.ask(db, locked, login, available)

    def _upgrade_hash(self, db: Session, user: User, check: _PasswordCheck) -> None:
        if check.upgraded_hash is not None:
            old, new = user.hashed_password, check.upgraded_hash
            queries.users.upgrade_hash(db, user.id, old=old, new=new)

    def _reject_unverified(
        self, db: Session, user: User, admission: Admission[User | None]
    ) -> CounterfoilError:
        """Send a mail by which the address can be verified, as no session can ask for one."""
        locked = queries.users.lock(db, user.id)
        if locked is None:
            return self._reject(db, user, reason=Reason.ENDED_WHILE_LOGGING_IN)
        admission.undo(db)
        return self._new_session.reject_unverified(db, locked)

    def _reject(self, db: Session, user: User | None, *, reason: Reason) -> InvalidCredentials:
        self._new_session.record_failure(db, user, reason=reason)
        return InvalidCredentials()


def _reason(user: User | None, check: _PasswordCheck) -> Reason:
    if user is None:
        return Reason.UNKNOWN_USER
    return Reason.DISABLED if check.is_right else Reason.WRONG_PASSWORD
