"""Logs a user in: checks the password, begins a session, issues its first tokens."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.accounts import users
from authentication.audit import Event, Origin, Reason
from authentication.credentials import issuance
from authentication.credentials.issuance import TokenPair
from authentication.emails import normalise_identifier
from authentication.errors import (
    HashingBusy,
    InvalidCredentials,
    InvalidScope,
    SessionLimitReached,
    TooManyAttempts,
)
from authentication.passwords.queue import Slot
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import limits
from authentication.throttling.known_networks import network_of
from authentication.throttling.limits import Counter
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import clock, queries
from database.models import LoginSession, User


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a client sends to log in. `identifier` is an e-mail address or a username."""

    identifier: str
    password: str
    scope: str | None = None
    client_id: str | None = None
    session_kind: SessionKind = SessionKind.API


@dataclass(frozen=True, slots=True)
class _Admission:
    """What is known of an attempt before its password is looked at."""

    user: User | None
    counters: list[Counter]
    is_from_known_address: bool

    @property
    def account(self) -> int | None:
        """Whose places for hashing the attempt may use besides those for everyone."""
        return self.user.id if self.user and self.is_from_known_address else None


async def log_in(
    service: Service,
    attempt: Attempt,
    *,
    origin: Origin,
    settings: AuthenticationSettings | None = None,
) -> TokenPair:
    """Check the password and begin a session, by the service's settings unless others are given.

    Raises InvalidCredentials, the same for an unknown user, a wrong password and a disabled user,
    after the same time; InvalidScope; SessionLimitReached; TooManyAttempts; HashingBusy. No
    connection is held while the password is hashed, so the user may change meanwhile: `_begin`
    looks again.
    """
    rules = settings or service.settings
    account = await _hold_off_flood(service, attempt, origin)
    with service.hashing.reserve(account) as slot:
        admission = await _admit(service, attempt, origin)
        correct, better_hash = await _verify(service, slot, attempt, admission)
    user = admission.user

    def finish(db: Session) -> TokenPair | CounterfoilError:
        if user is None or not correct:
            return _refuse(db, attempt, user, origin, reason=_reason(user))
        if better_hash is not None:
            queries.users.upgrade_hash(db, user.id, old=user.hashed_password, new=better_hash)
        return _begin(db, rules, attempt, user, admission.counters, origin)

    # Returned rather than raised inside: raising would roll the audit event back.
    outcome = await service.database.run(finish)
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


async def _hold_off_flood(service: Service, attempt: Attempt, origin: Origin) -> int | None:
    """Refuse what would be refused, at next to no cost. Raises TooManyAttempts.

    Strangers may have filled the queue, or used up what an address is allowed, or both. Then this
    returns the user's id if they are known where they come from, as they have their own allowance.
    """
    service.floods.refuse_again("login", attempt.identifier, origin.ip or "")
    network, name = network_of(origin.ip), normalise_identifier(attempt.identifier)
    refusal = service.floods.find_refusal("address", network or "") or service.floods.find_refusal(
        "account", name
    )
    if refusal is None and not service.hashing.is_full():
        return None
    account = await service.known_addresses.find_user_id(name, network)
    if account is None and refusal is not None:
        raise refusal
    return account


async def _admit(service: Service, attempt: Attempt, origin: Origin) -> _Admission:
    """Count the attempt. Raises TooManyAttempts."""

    def count(db: Session) -> tuple[_Admission, TooManyAttempts | None]:
        user = users.find_by_identifier(db, attempt.identifier)
        counters, is_known = limits.for_login(
            db, service.settings, identifier=attempt.identifier, user=user, origin=origin
        )
        refusal = limits.take(db, counters, origin=origin)
        return _Admission(user, counters, is_known), refusal

    try:
        admission, refusal = await service.database.run(count)
    except IntegrityError:
        # The user was deleted between being found and being counted; now they are not found.
        admission, refusal = await service.database.run(count)
    if refusal is not None:
        service.floods.note_refusal(refusal, "login", attempt.identifier, origin.ip or "")
        if not admission.is_from_known_address:
            _remember_of_strangers(service, refusal, attempt, origin)
        raise refusal
    return admission


def _remember_of_strangers(
    service: Service, refusal: TooManyAttempts, attempt: Attempt, origin: Origin
) -> None:
    """What strangers are told, whichever account they try next, or from wherever they try it."""
    if refusal.address_seconds is not None:
        address = TooManyAttempts(refusal.address_seconds)
        service.floods.note_refusal(address, "address", network_of(origin.ip) or "")
    if refusal.account_seconds is not None:
        account = TooManyAttempts(refusal.account_seconds)
        name = normalise_identifier(attempt.identifier)
        service.floods.note_refusal(account, "account", name)


async def _verify(
    service: Service, slot: Slot, attempt: Attempt, admission: _Admission
) -> tuple[bool, str | None]:
    """Whether the password is right, and a better hash. Raises HashingBusy."""
    user = admission.user
    try:
        return await service.hashing.run_in(
            slot,
            lambda: service.hasher.verify(
                attempt.password,
                user.hashed_password if user else None,
                # The second hash would betray that the password of a disabled user is right.
                upgrade=user is not None and user.is_active,
            ),
            user_id=admission.account,
        )
    except HashingBusy:
        await limits.take_back(service, admission.counters)
        raise


def _reason(user: User | None) -> Reason:
    return Reason.UNKNOWN_USER if user is None else Reason.WRONG_PASSWORD


def _refuse(
    db: Session, attempt: Attempt, user: User | None, origin: Origin, *, reason: Reason
) -> InvalidCredentials:
    audit.record(
        db,
        Event.LOGIN_FAILED,
        origin=origin,
        subject=audit.user(user.id) if user else None,
        reason=reason,
        # People type passwords into the field for the name; only a known name is written down.
        identifier=attempt.identifier if user else None,
        client_id=attempt.client_id,
    )
    return InvalidCredentials()


def _begin(
    db: Session,
    settings: AuthenticationSettings,
    attempt: Attempt,
    checked: User,
    counters: list[Counter],
    origin: Origin,
) -> TokenPair | CounterfoilError:
    user = queries.users.lock(db, checked.id)
    if user is None or not user.is_active:
        return _refuse(db, attempt, checked, origin, reason=Reason.DISABLED)
    if user.session_epoch != checked.session_epoch:
        return _refuse(db, attempt, checked, origin, reason=Reason.ENDED_WHILE_LOGGING_IN)
    limits.note_login(db, settings, counters, user_id=user.id, origin=origin)
    try:
        scopes = permissions.narrow(attempt.scope, issuance.effective_scopes(user, None))
        _make_room(db, settings, user, origin)
    except (InvalidScope, SessionLimitReached) as error:
        _refuse(db, attempt, user, origin, reason=Reason(error.code))
        return error
    session = _add_session(db, settings, attempt, user, origin)
    pair = issuance.issue(db, settings, session=session, user=user, granted=scopes, scopes=scopes)
    _record_success(db, attempt, session, origin)
    return pair


def _make_room(db: Session, settings: AuthenticationSettings, user: User, origin: Origin) -> None:
    if settings.max_sessions_per_user is None:
        return
    live = queries.sessions.list_live(db, user_id=user.id)
    for surplus in policies.sessions_to_evict(settings, live):
        queries.sessions.revoke(db, surplus.id, reason=Reason.SESSION_LIMIT)
        audit.record(
            db,
            Event.SESSION_REVOKED,
            origin=origin.acting_as(audit.user(user.id)),
            subject=audit.user(user.id),
            session=str(surplus.id),
            reason=Reason.SESSION_LIMIT,
        )


def _add_session(
    db: Session,
    settings: AuthenticationSettings,
    attempt: Attempt,
    user: User,
    origin: Origin,
) -> LoginSession:
    now = clock.read(db)
    session = LoginSession(
        user_id=user.id,
        epoch=user.session_epoch,
        client_id=attempt.client_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        created_at=now,
        last_used_at=now,
        expires_at=policies.session_end(settings, now),
        confirmed_at=now,
        kind=attempt.session_kind,
    )
    db.add(session)
    db.flush()
    return session


def _record_success(db: Session, attempt: Attempt, session: LoginSession, origin: Origin) -> None:
    subject = audit.user(session.user_id)
    audit.record(
        db,
        Event.LOGIN_SUCCEEDED,
        origin=origin.acting_as(subject),
        subject=subject,
        session=str(session.id),
        client_id=attempt.client_id,
    )
