"""Begins a session that is bound to a client, with its first tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, policies
from authentication.audit import Event, Origin, Reason
from authentication.clients import lifetimes
from authentication.clients.grants import Grant, has_grant
from authentication.credentials import issuance, session_limit
from authentication.credentials.issuance import TokenPair
from authentication.errors import SessionLimitReached
from authentication.settings import AuthenticationSettings
from counterfoil.identity import SessionKind
from database import clock, queries
from database.models import LoginSession, OAuthClient, User


@dataclass(frozen=True, slots=True)
class Approval:
    """What a user, who is locked and loaded with roles, has allowed a client.

    `login` is the session in which they did. None if the client acts for its own account.
    """

    user: User
    client: OAuthClient
    scopes: str
    login: LoginSession | None


def begin(
    db: Session,
    settings: AuthenticationSettings,
    approval: Approval,
    *,
    event: Event,
    origin: Origin,
) -> TokenPair | SessionLimitReached | None:
    """Begin the session and record it. None if the user's sessions were revoked meanwhile.

    SessionLimitReached is returned, as what belongs to the approval is to be committed.
    """
    own = lifetimes.of_client(settings, approval.client)
    session = _add(db, own, approval, origin)
    if session is None:
        return None
    pair, others = issuance.begin(
        db,
        own,
        session=session,
        user=approval.user,
        scopes=approval.scopes,
        is_refreshable=approval.login is not None
        and has_grant(approval.client, Grant.REFRESH_TOKEN),
    )
    try:
        revoked = session_limit.enforce(db, own, session, others) if approval.login else []
    except SessionLimitReached as error:
        db.delete(session)
        return error
    _record(db, approval, session, event, revoked, origin)
    return pair


def _add(
    db: Session, settings: AuthenticationSettings, approval: Approval, origin: Origin
) -> LoginSession | None:
    now, login, user = clock.read(db), approval.login, approval.user
    end = policies.session_end(settings, now)
    if login is None:
        # It cannot be refreshed, so nothing of it remains when its token has expired.
        end = policies.access_token_end(settings, now, end)
    fields = {
        "kind": SessionKind.API,
        "client_id": approval.client.id,
        "oauth_client_id": approval.client.id,
        "ip": origin.ip,
        "user_agent": origin.user_agent,
        "created_at": now,
        "last_used_at": now,
        "confirmed_at": login.confirmed_at if login else None,
        "second_factor_at": login.second_factor_at if login else None,
        "amr": login.amr if login else None,
        "expires_at": end,
    }
    return queries.sessions.begin(db, user_id=user.id, epoch=user.session_epoch, fields=fields)


def _record(
    db: Session,
    approval: Approval,
    session: LoginSession,
    event: Event,
    revoked: Sequence[UUID],
    origin: Origin,
) -> None:
    detail = {"session": str(session.id), "client": approval.client.id, "scope": approval.scopes}
    events: list[tuple[Event, dict[str, Any]]] = [(event, detail)]
    for one in revoked:
        evicted = {"session": str(one), "reason": Reason.SESSION_LIMIT}
        events.append((Event.SESSION_REVOKED, evicted))
    subject = audit.user(approval.user.id)
    # The client acts, not the user.
    acting = origin.acting_as(audit.client(approval.client.id))
    audit.record_together(db, events, origin=acting, subject=subject)
