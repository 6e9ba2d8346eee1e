"""Stores what users have allowed clients to do, and lists the applications of a user."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from database import clock
from database.models import Consent, LoginSession, OAuthClient
from database.queries import live, upsert


class Application(NamedTuple):
    """A client that a user has allowed something, or that has a session of theirs.

    `scopes` and `granted_at` are None without a consent, as a first-party client needs none.
    """

    client: OAuthClient
    scopes: str | None
    granted_at: datetime | None
    live_sessions: int
    last_used_at: datetime | None

    @property
    def client_id(self) -> str:
        """The id of the client."""
        return self.client.id

    @property
    def name(self) -> str:
        """The name of the client."""
        return self.client.name


def find_scopes(db: Session, user_id: int, client_id: str) -> str | None:
    """What a user has allowed a client."""
    is_theirs = (Consent.user_id == user_id, Consent.client_id == client_id)
    return db.scalar(select(Consent.scopes).where(*is_theirs))


def put(db: Session, user_id: int, client_id: str, scopes: str) -> None:
    """Record a consent in place of the one before."""
    values = {"user_id": user_id, "client_id": client_id}
    changed = {"scopes": scopes, "granted_at": clock.now()}
    insertion = upsert.insert(db, Consent).values({**values, **changed})
    db.execute(insertion.on_conflict_do_update(index_elements=list(values), set_=changed))


def remove(db: Session, user_id: int, client_id: str) -> bool:
    """Delete a consent. Returns False if there is none."""
    removed = db.scalars(
        delete(Consent)
        .where(Consent.user_id == user_id, Consent.client_id == client_id)
        .returning(Consent.client_id)
        .execution_options(synchronize_session=False)
    )
    return removed.one_or_none() is not None


def list_applications(db: Session, user_id: int) -> Sequence[Application]:
    """The applications of a user, by name."""
    sessions = (
        select(
            LoginSession.oauth_client_id.label("client_id"),
            func.count().label("number"),
            func.max(LoginSession.last_used_at).label("last_used_at"),
        )
        .join(LoginSession.user)
        .where(
            LoginSession.user_id == user_id,
            LoginSession.oauth_client_id.is_not(None),
            live.session_is_usable(),
        )
        .group_by(LoginSession.oauth_client_id)
        .subquery()
    )
    query = (
        select(
            OAuthClient,
            Consent.scopes,
            Consent.granted_at,
            func.coalesce(sessions.c.number, 0),
            sessions.c.last_used_at,
        )
        .outerjoin(sessions, sessions.c.client_id == OAuthClient.id)
        .outerjoin(Consent, (Consent.client_id == OAuthClient.id) & (Consent.user_id == user_id))
        .where(sessions.c.client_id.is_not(None) | Consent.client_id.is_not(None))
        .order_by(OAuthClient.name, OAuthClient.id)
    )
    return [Application(*row) for row in db.execute(query)]
