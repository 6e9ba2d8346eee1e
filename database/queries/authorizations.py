"""Stores the requests that wait for a user, and the codes that an approval gives."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, delete, select, update
from sqlalchemy.orm import Session, joinedload

from database import clock
from database.models import AuthorizationCode, AuthorizationRequest, LoginSession, User
from database.queries import live


class CodeState(NamedTuple):
    """A code as it was a moment ago. `is_void` if its approval does not hold any more."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    is_expired: bool
    is_void: bool


def add_request(db: Session, *, most: int, **fields: Any) -> None:
    """Add a request. Of those of one session only the newest are kept."""
    db.add(AuthorizationRequest(**fields))
    db.flush()
    newest = (
        select(AuthorizationRequest.id)
        .where(AuthorizationRequest.login_session_id == fields["login_session_id"])
        .order_by(AuthorizationRequest.id.desc())
    )
    surplus = db.scalars(newest.offset(most).limit(100)).all()
    if surplus:
        _delete_requests(db, AuthorizationRequest.id.in_(surplus))


def find_request(db: Session, transaction_digest: bytes) -> AuthorizationRequest | None:
    """A request that has not expired."""
    return db.scalar(
        select(AuthorizationRequest).where(
            AuthorizationRequest.transaction_digest == transaction_digest,
            AuthorizationRequest.expires_at > clock.now(),
        )
    )


def take_request(db: Session, request_id: int) -> bool:
    """Delete a request, which can be decided once. Returns False if it has been."""
    return bool(_delete_requests(db, AuthorizationRequest.id == request_id))


def _delete_requests(db: Session, condition: ColumnElement[bool]) -> Sequence[int]:
    return db.scalars(
        delete(AuthorizationRequest)
        .where(condition)
        .returning(AuthorizationRequest.id)
        .execution_options(synchronize_session=False)
    ).all()


def add_code(db: Session, **fields: Any) -> None:
    """Add a code."""
    db.add(AuthorizationCode(**fields))
    db.flush()


def find_code(db: Session, digest: bytes) -> CodeState | None:
    """What is known of a code, if it was issued."""
    query = (
        select(
            AuthorizationCode.client_id,
            AuthorizationCode.redirect_uri,
            AuthorizationCode.code_challenge,
            AuthorizationCode.expires_at <= clock.now(),
            ~_is_approved(),
        )
        .join(LoginSession, LoginSession.id == AuthorizationCode.login_session_id)
        .join(User, User.id == LoginSession.user_id)
        .where(AuthorizationCode.code_digest == digest)
    )
    row = db.execute(query).one_or_none()
    return CodeState(*row) if row else None


def find_code_and_lock_user(db: Session, digest: bytes) -> tuple[AuthorizationCode, User] | None:
    """A code with its user, who is loaded with roles and locked."""
    row = db.execute(_LOCK_USER, {"digest": digest}).unique().one_or_none()
    return (row[0], row[1]) if row else None


def lock_approval(db: Session, code: AuthorizationCode) -> LoginSession | None:
    """The session in which a code was approved, locked. None if its approval does not hold."""
    return db.scalar(
        select(LoginSession)
        .join(LoginSession.user)
        .join(AuthorizationCode, AuthorizationCode.login_session_id == LoginSession.id)
        .where(AuthorizationCode.id == code.id, _is_approved())
        .with_for_update(of=LoginSession, key_share=True)
        .execution_options(populate_existing=True)
    )


def redeem(db: Session, code_id: int) -> bool:
    """Mark a code as redeemed. Returns False if it was before, has expired or is gone."""
    redeemed = db.scalars(
        update(AuthorizationCode)
        .where(
            AuthorizationCode.id == code_id,
            AuthorizationCode.redeemed_at.is_(None),
            AuthorizationCode.expires_at > clock.now(),
        )
        .values(redeemed_at=clock.now())
        .returning(AuthorizationCode.id)
        .execution_options(synchronize_session=False)
    )
    return redeemed.one_or_none() is not None


def set_session(db: Session, code_id: int, session_id: UUID) -> None:
    """Note which session a code was exchanged for."""
    db.execute(
        update(AuthorizationCode)
        .where(AuthorizationCode.id == code_id)
        .values(session_id=session_id)
        .execution_options(synchronize_session=False)
    )


def find_session_of_redeemed(db: Session, code_id: int) -> UUID | None:
    """The session that an unexpired code was exchanged for."""
    return db.scalar(
        select(AuthorizationCode.session_id)
        .where(
            AuthorizationCode.id == code_id,
            AuthorizationCode.redeemed_at.is_not(None),
            AuthorizationCode.expires_at > clock.now(),
        )
        .with_for_update(read=True)
    )


def delete_codes(db: Session, user_id: int, client_id: str) -> None:
    """Delete the codes of a user that a client has not exchanged yet."""
    db.execute(
        delete(AuthorizationCode)
        .where(
            AuthorizationCode.user_id == user_id,
            AuthorizationCode.client_id == client_id,
            AuthorizationCode.redeemed_at.is_(None),
        )
        .execution_options(synchronize_session=False)
    )


def _is_approved() -> ColumnElement[bool]:
    """The session of the approval can still be used. Needs it joined, and the user.

    A session all of whose tokens were deleted by SQL counts as revoked, here as everywhere.
    """
    return and_(live.session_is_usable(), AuthorizationCode.epoch == User.session_epoch)


_LOCK_USER = (
    select(AuthorizationCode, User)
    .join(User, User.id == AuthorizationCode.user_id)
    .where(AuthorizationCode.code_digest == bindparam("digest"))
    .options(joinedload(User.roles))
    .with_for_update(of=User, key_share=True)
    .execution_options(populate_existing=True)
)
