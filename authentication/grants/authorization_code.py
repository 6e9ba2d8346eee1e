"""Exchanges authorization codes for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5).

A code works once. If it is sent a second time with everything that it takes, code and verifier have
leaked, and the session of the first exchange is revoked. A code that is sent with anything wrong
revokes nothing: somebody who has only stolen a code must not be able to log its user out.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.clients import sessions as client_sessions
from authentication.clients.sessions import Approval
from authentication.credentials.issuance import TokenPair
from authentication.errors import InvalidGrant
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import CounterfoilError
from counterfoil.tokens import TokenKind
from database import queries
from database.models import AuthorizationCode, OAuthClient, User
from database.queries.authorizations import CodeState

# RFC 7636, 4.1.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What a client sends to exchange a code. The client must be authenticated."""

    client: OAuthClient
    code: str
    redirect_uri: str
    code_verifier: str


async def redeem(service: Service, request: CodeRequest, *, origin: Origin) -> TokenPair:
    """Exchange a code. Raises InvalidGrant, SessionLimitReached, TooManyAttempts."""
    limit = service.settings.client_failures_per_minute
    service.unknown_tokens.reject_flood("code", origin, limit=limit)
    state = await _find(service, request.code)
    if state is None:
        service.unknown_tokens.count_in("code", origin, limit=limit)
        raise InvalidGrant
    # What cannot succeed is not worth a transaction that writes.
    outcome = _reason_against(state, request) or await _exchange(service, request, origin)
    if isinstance(outcome, Reason):
        service.rejected_tokens.record(
            request.code, origin.ip, event=Event.CODE_REFUSED, reason=outcome
        )
        raise InvalidGrant
    if isinstance(outcome, CounterfoilError):
        raise outcome
    return outcome


async def _find(service: Service, code: str) -> CodeState | None:
    if tokens.kind_of(code) is not TokenKind.CODE:
        return None
    digest = tokens.digest(code)
    return await service.database.run(
        lambda db: queries.authorizations.find_code(db, digest), read_only=True, is_untrusted=True
    )


def _reason_against(state: CodeState, request: CodeRequest) -> Reason | None:
    if state.client_id != request.client.id:
        return Reason.ANOTHER_CLIENT
    if state.redirect_uri != request.redirect_uri:
        return Reason.ANOTHER_REDIRECT
    if not _is_verified(state.code_challenge, request.code_verifier):
        return Reason.WRONG_VERIFIER
    if state.is_expired:
        return Reason.EXPIRED
    return Reason.CODE_VOID if state.is_void else None


def _is_verified(challenge: str, verifier: str) -> bool:
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    digest = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())


async def _exchange(
    service: Service, request: CodeRequest, origin: Origin
) -> TokenPair | CounterfoilError | Reason:
    exchange = _Exchange(service.settings, request, origin)
    return await service.database.run(exchange.run, is_untrusted=True)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Everything that an exchange reads and writes, in one transaction.

    A reuse is returned, because raising it would roll back the revocation of the session.
    """

    settings: AuthenticationSettings
    request: CodeRequest
    origin: Origin

    def run(self, db: Session) -> TokenPair | CounterfoilError | Reason:
        found = queries.authorizations.find_code_and_lock_user(db, tokens.digest(self.request.code))
        if found is None:
            return Reason.CODE_VOID
        code, user = found
        login = queries.authorizations.lock_approval(db, code)
        client = queries.oauth_clients.hold(db, code.client_id)
        if login is None or client is None:
            return Reason.CODE_VOID
        if not queries.authorizations.redeem(db, code.id):
            return self._reject_reused(db, code, user)
        pair = client_sessions.begin(
            db,
            self.settings,
            Approval(user, client, code.scopes, login),
            event=Event.CODE_REDEEMED,
            origin=self.origin,
        )
        if isinstance(pair, TokenPair):
            queries.authorizations.set_session(db, code.id, pair.session_id)
        return Reason.CODE_VOID if pair is None else pair

    def _reject_reused(
        self, db: Session, code: AuthorizationCode, user: User
    ) -> InvalidGrant | Reason:
        session_id = queries.authorizations.find_session_of_redeemed(db, code.id)
        if session_id is None:
            return Reason.CODE_VOID
        if queries.sessions.revoke_unrevoked(db, session_id, reason=Reason.CODE_REUSE):
            acting = self.origin.acting_as(audit.client(code.client_id))
            audit.record(
                db,
                Event.CODE_REUSED,
                origin=acting,
                subject=audit.user(user.id),
                session=str(session_id),
                client=code.client_id,
            )
        return InvalidGrant()
