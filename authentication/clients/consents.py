"""Lists the applications of a user, and revokes the consents that they were given."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Reason
from authentication.credentials.actor import Actor, Targets
from authentication.errors import NotFound
from counterfoil.permissions import Scopes, split_scopes
from database import queries
from database.models import OAuthClient
from database.queries.consents import Application as Application
from database.text import is_comparable

_NONE = "There is no such application."


def list_own(db: Session, user_id: int) -> Sequence[Application]:
    """The applications that a user has allowed something, or that have a session of theirs."""
    return queries.consents.list_applications(db, user_id)


def take_back(db: Session, actor: Actor, client_id: str) -> int:
    """Revoke what the actor has allowed a client. Returns how many sessions were revoked.

    Its codes become void as well. Raises NotFound if it has neither a consent nor a session.
    """
    if not is_comparable(client_id):
        raise NotFound(_NONE)
    own = queries.oauth_clients.select_sessions(client_id, actor.identity.user_id)
    targets = Targets(sessions=own)
    held = actor.hold(db, targets)
    user_id = held.user.id
    reason = Reason.CONSENT_REVOKED
    revoked = queries.oauth_clients.revoke_sessions(db, client_id, user_id=user_id, reason=reason)
    had_consent = queries.consents.remove(db, user_id, client_id)
    queries.authorizations.delete_codes(db, user_id, client_id)
    queries.device_codes.delete_approved(db, user_id, client_id)
    if not had_consent and not revoked:
        raise NotFound(_NONE)
    subject = audit.user(user_id)
    audit.record(
        db,
        Event.CONSENT_REVOKED,
        origin=actor.origin,
        subject=subject,
        client=client_id,
        count=revoked,
    )
    return revoked


def covers(db: Session, user_id: int, client: OAuthClient, scopes: Scopes) -> bool:
    """Whether the user has allowed a client all of these scopes, or it needs no consent."""
    if client.is_first_party:
        return True
    granted = queries.consents.find_scopes(db, user_id, client.id)
    return granted is not None and scopes <= split_scopes(granted)


def add(db: Session, user_id: int, client: OAuthClient, scopes: Scopes) -> None:
    """Record that a user allows a client these scopes, besides those they have allowed it."""
    if client.is_first_party:
        return
    granted = queries.consents.find_scopes(db, user_id, client.id)
    together = scopes | split_scopes(granted or "")
    queries.consents.put(db, user_id, client.id, " ".join(sorted(together)))
