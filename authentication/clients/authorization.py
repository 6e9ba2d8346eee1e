"""Authorizes clients: begins with a request, and ends with the user's approval or denial.

Nothing is stored before a user is signed in. What is stored then belongs to their session, which
keeps few of them, so that no number of requests fills the table.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event
from authentication.clients import authorization_request, consents, redirects
from authentication.clients.authorization_request import (
    AUTHENTICATED_AFTER,
    AuthorizationDemand,
    Parameters,
    RejectedRequest,
    Target,
)
from authentication.credentials.actor import Actor, Held
from authentication.errors import InvalidAuthorization, InvalidTransaction
from authentication.service import Service
from counterfoil import tokens
from counterfoil.permissions import Scopes, split_scopes
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import AuthorizationRequest, OAuthClient

CODE_SECONDS = 60
TRANSACTION_SECONDS = 600
_REQUESTS_OF_SESSION = 20


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer for the client: the browser goes to `location`, with a code or an error.

    `follows_form` if the user has just sent a form to us: then Chromium does not follow a
    redirect to another site, and a page has to lead there.
    """

    location: str
    client: OAuthClient
    follows_form: bool


@dataclass(frozen=True, slots=True)
class SignInNeeded:
    """The user has to sign in, and comes back to /authorize with these parameters.

    `is_again` if they are signed in already, but the client demands a new login.
    """

    parameters: Parameters
    client: OAuthClient
    login_hint: str | None
    is_again: bool


@dataclass(frozen=True, slots=True)
class ConsentNeeded:
    """The user has to decide. The form of the page carries the transaction, and nothing else."""

    transaction: str
    client: OAuthClient
    scopes: Scopes
    redirect_uri: str

    @property
    def destination(self) -> str:
        """Where the answer goes, as the user is to read it: a host, or the scheme of a program."""
        address = urlsplit(self.redirect_uri)
        return address.hostname or address.scheme


Outcome = Redirect | SignInNeeded | ConsentNeeded


async def begin(
    service: Service, parameters: Parameters, actor: Actor | None, *, issuer: str
) -> Outcome:
    """Answer an authorization request of a browser, in which `actor` is signed in, if anybody is.

    Raises InvalidAuthorization, which is for the user alone. Raises TooManyAttempts, InvalidToken.
    """
    target, now = await service.database.run(
        lambda db: (
            authorization_request.find_target(db, parameters),
            clock.read(db).timestamp(),
        ),
        read_only=True,
        is_untrusted=True,
    )
    follows_form = any(name == AUTHENTICATED_AFTER for name, _ in parameters)
    answer = _Answer(target, issuer, follows_form=follows_form)
    try:
        demand = authorization_request.read(target.client, parameters)
        if actor is None or not _is_fresh(demand, actor, now):
            return _sign_in(demand, target, parameters, now, is_again=actor is not None)
        return await _decide(service, demand, answer, actor)
    except RejectedRequest as rejected:
        return answer.error(rejected.error, rejected.description)


async def approve(service: Service, actor: Actor, transaction: str, *, issuer: str) -> Redirect:
    """Allow a client what it has asked for. The session must be fresh.

    Raises InvalidTransaction, InvalidToken, InsufficientUserAuthentication.
    """
    return await service.database.run(
        lambda db: _take(db, actor, transaction, issuer, is_allowed=True)
    )


async def deny(service: Service, actor: Actor, transaction: str, *, issuer: str) -> Redirect:
    """Deny it. Raises InvalidTransaction, InvalidToken."""
    return await service.database.run(
        lambda db: _take(db, actor, transaction, issuer, is_allowed=False)
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """Writes answers for the client. `iss` says who answers (RFC 9207)."""

    target: Target
    issuer: str
    follows_form: bool

    def code(self, code: str) -> Redirect:
        return self._redirect(code=code)

    def error(self, error: str, description: str) -> Redirect:
        return self._redirect(error=error, error_description=description)

    def _redirect(self, **parameters: str) -> Redirect:
        target = self.target
        location = redirects.with_parameters(
            target.redirect_uri, **parameters, state=target.state, iss=self.issuer
        )
        return Redirect(location, target.client, self.follows_form)


def _is_fresh(demand: AuthorizationDemand, actor: Actor, now: float) -> bool:
    """Whether the user has given their password recently enough for the client."""
    confirmed_at = actor.identity.confirmed_at or 0.0
    after = demand.authenticated_after
    if after is not None and confirmed_at >= after:
        return True
    if demand.wants_new_login:
        return False
    return demand.max_age is None or now - confirmed_at <= demand.max_age


def _sign_in(
    demand: AuthorizationDemand,
    target: Target,
    parameters: Parameters,
    now: float,
    *,
    is_again: bool,
) -> SignInNeeded:
    """Raises RejectedRequest if the client does not want the user to be asked."""
    if "none" in demand.prompts:
        raise RejectedRequest("login_required", "The user has to sign in.")
    kept = [pair for pair in parameters if pair[0] != AUTHENTICATED_AFTER]
    kept.append((AUTHENTICATED_AFTER, f"{now:.3f}"))
    return SignInNeeded(kept, target.client, demand.login_hint, is_again)


async def _decide(
    service: Service, demand: AuthorizationDemand, answer: _Answer, actor: Actor
) -> Outcome:
    identity = actor.identity
    service.write_budget.charge(identity.user_id, identity.session_id, credential_only=True)
    return await service.database.run(lambda db: _issue_or_ask(db, demand, answer, actor))


def _issue_or_ask(
    db: Session, demand: AuthorizationDemand, answer: _Answer, actor: Actor
) -> Outcome:
    held = actor.hold(db)
    target = answer.target
    client = queries.oauth_clients.hold(db, target.client.id)
    if client is None:
        raise InvalidAuthorization
    scopes = _available(demand, held)
    if _must_ask(db, demand, target, held.user.id, client, scopes):
        if "none" in demand.prompts:
            raise RejectedRequest("consent_required", "The user has to allow it.")
        return _ask(db, demand, target, held, scopes)
    return answer.code(_issue(db, held, target, scopes, demand.code_challenge, actor))


def _available(demand: AuthorizationDemand, held: Held) -> Scopes:
    """The scopes to grant. Those that the client has named are granted as they are, or not at all.

    Raises RejectedRequest.
    """
    available = demand.scopes & held.identity.scopes
    if not available or (demand.names_scopes and available != demand.scopes):
        raise RejectedRequest("invalid_scope", "The user cannot give one of these scopes.")
    return available


def _must_ask(
    db: Session,
    demand: AuthorizationDemand,
    target: Target,
    user_id: int,
    client: OAuthClient,
    scopes: Scopes,
) -> bool:
    if "consent" in demand.prompts:
        return True
    if client.is_first_party:
        return False
    # Another program could take the place of one that has no secret (RFC 8252, 8.6).
    can_be_imitated = client.secret_digest is None and redirects.is_of_native_app(
        target.redirect_uri
    )
    return can_be_imitated or not consents.covers(db, user_id, client, scopes)


def _ask(
    db: Session, demand: AuthorizationDemand, target: Target, held: Held, scopes: Scopes
) -> ConsentNeeded:
    transaction = tokens.create(TokenKind.TRANSACTION)
    queries.authorizations.add_request(
        db,
        most=_REQUESTS_OF_SESSION,
        transaction_digest=transaction.digest,
        client_id=target.client.id,
        login_session_id=held.identity.session_id,
        redirect_uri=target.redirect_uri,
        scopes=" ".join(sorted(scopes)),
        state=target.state,
        code_challenge=demand.code_challenge,
        expires_at=clock.read(db) + timedelta(seconds=TRANSACTION_SECONDS),
    )
    return ConsentNeeded(transaction.text, target.client, scopes, target.redirect_uri)


def _issue(
    db: Session, held: Held, target: Target, scopes: Scopes, code_challenge: str, actor: Actor
) -> str:
    """The text of a new code."""
    code = tokens.create(TokenKind.CODE)
    queries.authorizations.add_code(
        db,
        code_digest=code.digest,
        client_id=target.client.id,
        user_id=held.user.id,
        epoch=held.user.session_epoch,
        login_session_id=held.identity.session_id,
        redirect_uri=target.redirect_uri,
        scopes=" ".join(sorted(scopes)),
        code_challenge=code_challenge,
        expires_at=clock.read(db) + timedelta(seconds=CODE_SECONDS),
    )
    _record(db, Event.AUTHORIZATION_APPROVED, actor, target.client.id, scopes)
    return code.text


def _take(
    db: Session, actor: Actor, transaction: str, issuer: str, *, is_allowed: bool
) -> Redirect:
    """Take the request of a transaction, which works once, and answer it."""
    held = actor.hold(db, fresh=is_allowed)
    request = queries.authorizations.find_request(db, tokens.digest(transaction))
    if request is None or request.login_session_id != held.identity.session_id:
        raise InvalidTransaction
    client = queries.oauth_clients.hold(db, request.client_id)
    if client is None or not _can_answer(client, request):
        raise InvalidTransaction
    if not queries.authorizations.take_request(db, request.id):
        raise InvalidTransaction
    target = Target(client, request.redirect_uri, request.state)
    answer = _Answer(target, issuer, follows_form=True)
    scopes = split_scopes(request.scopes)
    if not is_allowed:
        _record(db, Event.AUTHORIZATION_DENIED, actor, client.id, scopes)
        return answer.error("access_denied", "The user has denied it.")
    if not scopes <= held.identity.scopes:
        return answer.error("invalid_scope", "The user cannot give one of these scopes.")
    consents.add(db, held.user.id, client, scopes)
    return answer.code(_issue(db, held, target, scopes, request.code_challenge, actor))


def _can_answer(client: OAuthClient, request: AuthorizationRequest) -> bool:
    """The client may have been changed while the user read the page."""
    is_registered = redirects.is_registered(request.redirect_uri, client.redirect_uris.split(" "))
    return is_registered and split_scopes(request.scopes) <= split_scopes(client.scopes)


def _record(db: Session, event: Event, actor: Actor, client_id: str, scopes: Scopes) -> None:
    subject = audit.user(actor.identity.user_id)
    audit.record(
        db,
        event,
        origin=actor.origin,
        subject=subject,
        client=client_id,
        scope=" ".join(sorted(scopes)),
    )
