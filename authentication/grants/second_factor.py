"""Completes a login that waits for its second factor: begins the session, once."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication import policies
from authentication.audit import Origin, Reason
from authentication.clients import lifetimes
from authentication.credentials.issuance import TokenPair
from authentication.errors import InvalidCode, InvalidMfaToken, TooManyAttempts
from authentication.factors import methods, pending_logins, proofs
from authentication.factors.passkeys import challenges, options
from authentication.factors.passkeys.challenges import ChallengeKind
from authentication.factors.passkeys.options import Options
from authentication.factors.pending_logins import PendingLogin
from authentication.factors.proofs import Proof
from authentication.grants import console
from authentication.grants.new_sessions import NewSession
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import attempts, counting
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import queries
from database.models import Challenge, User


async def complete(
    service: Service,
    mfa_token: str,
    proof: Proof,
    *,
    origin: Origin,
    kind: SessionKind = SessionKind.API,
) -> TokenPair:
    """Begin the session that was asked for by a login of this kind.

    Raises InvalidMfaToken, InvalidCode, TooManyAttempts, TotpUnavailable, InvalidScope,
    SessionLimitReached.
    """
    found = await _find(service, mfa_token, origin)
    if found.login.session_kind != kind:
        raise InvalidMfaToken
    completion = _Completion(service, found, proof, origin)
    # A failure is returned, so that its count and its audit event are committed.
    outcome = await service.database.run(completion.run, is_untrusted=True)
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


async def begin_passkey(service: Service, mfa_token: str, *, origin: Origin) -> Options:
    """What a browser needs so that a passkey of the user completes the login.

    Raises InvalidMfaToken, TooManyAttempts, HashingBusy.
    """
    found = await _find(service, mfa_token, origin)

    def begin(db: Session) -> Options | None:
        user = queries.users.hold(db, found.user_id)
        if user is None:
            return None
        challenge = challenges.begin(db, ChallengeKind.LOGIN, user_id=user.id)
        known = queries.passkeys.list_of_user(db, user.id)
        return options.for_login(service.relying_party, known, challenge)

    begun = await service.login_challenges.begin(origin, begin)
    if begun is None:
        raise InvalidMfaToken
    return begun


class _Found:
    """A login that waits. `user_id` is whose it is."""

    def __init__(self, challenge: Challenge, user_id: int) -> None:
        self.digest = challenge.token_digest
        self.user_id = user_id
        self.login = PendingLogin.of(challenge)


async def _find(service: Service, mfa_token: str, origin: Origin) -> _Found:
    """Only reads: a token that is unknown must not cost a transaction that writes.

    Raises InvalidMfaToken, TooManyAttempts.
    """
    limit = service.settings.refresh_misses_per_minute
    service.unknown_tokens.reject_flood("mfa", origin, limit=limit)
    digest = pending_logins.digest(mfa_token)

    def look_up(db: Session) -> _Found | None:
        challenge = digest and queries.challenges.find(db, digest, kind=pending_logins.KIND)
        if not challenge or challenge.user_id is None:
            return None
        return _Found(challenge, challenge.user_id)

    found = await service.database.run(look_up, read_only=True, is_untrusted=True)
    if found is None:
        service.unknown_tokens.count_in("mfa", origin, limit=limit)
        raise InvalidMfaToken
    return found


@dataclass(frozen=True, slots=True)
class _Completion:
    """Everything that the second step of a login reads and writes, in one transaction."""

    service: Service
    found: _Found
    proof: Proof
    origin: Origin

    def run(self, db: Session) -> TokenPair | CounterfoilError:
        user = queries.users.lock(db, self.found.user_id)
        if user is None:
            return InvalidMfaToken()
        db.refresh(user, ["known_addresses"])
        attempt = attempts.describe_second_factor(self.service.settings, user, self.origin)
        exceeded = counting.count(db, attempt.counted, origin=self.origin)
        if exceeded:
            return TooManyAttempts(counting.longest_retry_after(exceeded))
        if pending_logins.count_attempt(db, self.found.digest, user) is None:
            attempt.undo(db)
            return InvalidMfaToken()
        words = proofs.verify(db, self.service, user, self.proof, origin=self.origin)
        if words is None:
            self._new_session(db, "").record_failure(db, user, reason=Reason.WRONG_CODE)
            return InvalidCode()
        attempt.record_success(db)
        return self._begin(db, user, methods.add(methods.PASSWORD, words))

    def _begin(self, db: Session, user: User, amr: str) -> TokenPair | CounterfoilError:
        queries.challenges.take(
            db, self.found.digest, kind=pending_logins.KIND, user_id=user.id, session_id=None
        )
        new = self._new_session(db, amr)
        is_client_gone = self.found.login.oauth_client_id is not None and new.client is None
        session = None if is_client_gone else new.add(db, user)
        if session is None:
            # Its client was deleted or disabled meanwhile. The user is locked.
            return InvalidMfaToken()
        return new.issue(db, user, session)

    def _new_session(self, db: Session, amr: str) -> NewSession:
        login = self.found.login
        client_id = login.oauth_client_id
        client = queries.oauth_clients.find(db, client_id) if client_id else None
        settings = _lifetimes(self.service.settings, login.session_kind)
        return NewSession(
            self.service,
            lifetimes.of_client(settings, client),
            self.origin,
            amr=amr,
            has_second_factor=True,
            scope=login.scope,
            client_id=login.client_id,
            client=client,
            kind=login.session_kind,
        )


def _lifetimes(settings: AuthenticationSettings, kind: str) -> AuthenticationSettings:
    match kind:
        case SessionKind.BROWSER:
            return policies.for_browsers(settings)
        case SessionKind.CONSOLE:
            return console.lifetimes(settings)
    return settings
