"""Logs a user in by a passkey alone: something they have, which verifies who they are itself."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication import labels
from authentication.audit import Origin, Reason
from authentication.clients import client_authentication, lifetimes
from authentication.clients.client_authentication import ClientCredentials
from authentication.clients.grants import Grant
from authentication.credentials.issuance import TokenPair
from authentication.errors import InvalidPasskey
from authentication.factors import methods
from authentication.factors.passkeys import challenges, options, signing
from authentication.factors.passkeys.challenges import ChallengeKind
from authentication.factors.passkeys.messages import Assertion
from authentication.factors.passkeys.options import Options
from authentication.factors.passkeys.signing import Asked, Examined
from authentication.grants.new_sessions import NewSession
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import attempts, counting, known_networks
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import queries
from database.models import User

_ANYBODY = Asked(ChallengeKind.LOGIN)


@dataclass(frozen=True, slots=True)
class PasskeyLogin:
    """What a client sends to log in. `client_id` is a label, unless such a client is registered."""

    assertion: Assertion
    scope: str | None = None
    client_id: str | None = None
    session_kind: SessionKind = SessionKind.API


async def begin(service: Service, *, origin: Origin) -> Options:
    """What a browser needs to ask its user for a passkey. Raises TooManyAttempts, HashingBusy."""
    challenge = await service.login_challenges.begin(
        origin, lambda db: challenges.begin(db, ChallengeKind.LOGIN)
    )
    return options.for_login(service.relying_party, [], challenge)


async def log_in(
    service: Service,
    request: PasskeyLogin,
    *,
    origin: Origin,
    settings: AuthenticationSettings | None = None,
) -> TokenPair:
    """Verify the signature and begin a session. No other factor is asked for.

    Raises InvalidPasskey, also if the user is disabled; InvalidScope, SessionLimitReached,
    EmailUnverified, TooManyAttempts. Raises InvalidField for a `client_id` with invisible
    characters. Raises InvalidClient and UnauthorizedClient if it is that of a registered client
    that has a secret, which cannot be given here, or may not log users in by itself.
    """
    if request.client_id is not None:
        labels.clean("client_id", request.client_id)
    sent = ClientCredentials(request.client_id, secret=None)
    client = await client_authentication.find_client(service, sent, origin=origin)
    client_authentication.demand_grant(client, Grant.PASSWORD)
    examined = await signing.examine(service, request.assertion, _ANYBODY, origin=origin)
    if examined.user is not None and examined.user.is_active:
        service.write_budget.charge_login(examined.user.id)
    new = NewSession(
        service,
        lifetimes.of_client(settings or service.settings, client),
        origin,
        amr=methods.join(methods.PASSKEY),
        has_second_factor=True,
        scope=request.scope,
        client_id=request.client_id,
        client=client,
        kind=request.session_kind,
    )
    login = _Login(new, examined)
    # A failure is returned, so that its audit event is committed, and raised only then.
    outcome = await service.database.run(login.begin_or_reject, is_untrusted=True)
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


@dataclass(frozen=True, slots=True)
class _Login:
    """One login. Its result is stored in one transaction, once the signature has been verified."""

    new: NewSession
    examined: Examined

    def begin_or_reject(self, db: Session) -> TokenPair | CounterfoilError:
        """Begin a session, or record why the login fails and return the error.

        The user may have been disabled or deleted since the signature was verified.
        """
        user = self.examined.user
        locked = None if user is None else queries.users.lock(db, user.id)
        reason = self.examined.accept(db, self.new.origin)
        if reason is not None or user is None or locked is None:
            return self._reject(db, reason or Reason.ENDED_WHILE_LOGGING_IN)
        if not locked.is_active:
            return self._reject(db, Reason.DISABLED)
        if self.new.demands_verification(locked):
            return self.new.reject_unverified(db, locked)
        return self._begin(db, user)

    def _begin(self, db: Session, user: User) -> TokenPair | CounterfoilError:
        session = self.new.add(db, user)
        if session is None:
            return self._reject(db, Reason.ENDED_WHILE_LOGGING_IN)
        outcome = self.new.issue(db, user, session)
        if isinstance(outcome, TokenPair):
            known_networks.remember(db, user, self.new.origin.network)
            # Nothing that a thief has counted up in a session may lock out who has a passkey.
            checks = attempts.describe_factor_check(self.new.settings, user.id)
            counting.record_success(db, (), cleared=checks, user_id=user.id)
        return outcome

    def _reject(self, db: Session, reason: Reason) -> InvalidPasskey:
        owner = self.examined.owned.user if self.examined.owned else None
        self.new.record_failure(db, owner, reason=reason, why=self.examined.why)
        return InvalidPasskey()
