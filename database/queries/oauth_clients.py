"""Finds, lists, changes and deletes registered clients."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import LoginSession, OAuthClient, User
from database.queries import live


def find(db: Session, client_id: str) -> OAuthClient | None:
    """A client by id, disabled or not."""
    return db.get(OAuthClient, client_id)


def hold(db: Session, client_id: str) -> OAuthClient | None:
    """A client that is not disabled, kept from being deleted until the end of the transaction.

    Its deletion locks it before all that is deleted with it, so this has to come first as well.
    """
    return db.scalar(
        select(OAuthClient)
        .where(OAuthClient.id == client_id, OAuthClient.disabled_at.is_(None))
        .with_for_update(read=True, key_share=True)
        .execution_options(populate_existing=True)
    )


def lock(db: Session, client_id: str) -> OAuthClient | None:
    """A client, locked until the end of the transaction, for a change."""
    query = select(OAuthClient).where(OAuthClient.id == client_id)
    locking = query.with_for_update(key_share=True)
    return db.scalar(locking.execution_options(populate_existing=True))


def list_after(db: Session, client_id: str, *, limit: int) -> Sequence[OAuthClient]:
    """The clients whose ids come after this one, in the order of ids."""
    query = select(OAuthClient).where(OAuthClient.id > client_id).order_by(OAuthClient.id)
    return db.scalars(query.limit(limit)).all()


def replace_secret(db: Session, client: OAuthClient, digest: bytes, *, overlap: timedelta) -> None:
    """Give a client a new secret. The one that it had works for the overlap."""
    client.previous_secret_digest = client.secret_digest if overlap else None
    client.previous_secret_expires_at = clock.read(db) + overlap if overlap else None
    client.secret_digest = digest
    db.flush()


def delete_one(db: Session, client_id: str) -> bool:
    """Delete a client, with its sessions, codes and consents. Returns False if there is none."""
    deleted = db.scalars(
        delete(OAuthClient)
        .where(OAuthClient.id == client_id)
        .returning(OAuthClient.id)
        .execution_options(synchronize_session=False)
    )
    return deleted.one_or_none() is not None


def select_sessions(client_id: str, user_id: int) -> Select[UUID]:
    """The sessions of a client and a user, for `lock_for_change`."""
    is_theirs = LoginSession.user_id == user_id
    return select(LoginSession.id).where(LoginSession.oauth_client_id == client_id, is_theirs)


def revoke_sessions(db: Session, client_id: str, *, reason: str, user_id: int | None = None) -> int:
    """Revoke the sessions of a client, of all users unless one is given. Returns how many."""
    conditions = [LoginSession.oauth_client_id == client_id]
    if user_id is not None:
        conditions.append(LoginSession.user_id == user_id)
    valid = (
        select(LoginSession.id)
        .join(User, User.id == LoginSession.user_id)
        .where(*conditions, live.session_is_valid())
        .order_by(LoginSession.id)
        .with_for_update(of=LoginSession, key_share=True)
    )
    revoked = db.scalars(
        update(LoginSession)
        .where(LoginSession.id.in_(valid), LoginSession.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .returning(LoginSession.id)
        .execution_options(synchronize_session=False)
    )
    return len(revoked.all())
