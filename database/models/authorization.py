"""Authorizations: a request that waits for its user, and the code that an approval gives."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, BigId, PublicId, UTCDateTime


class AuthorizationRequest(Base):
    """What a client asked for, while the user reads the page.

    The form of the page carries only the transaction, so nothing can be exchanged in between. It
    belongs to the session that the user is signed in with, and can be used by no other.
    """

    __tablename__ = "authorization_requests"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    client_id: Mapped[str] = mapped_column(
        String(limits.MAX_CLIENT_ID_LENGTH),
        ForeignKey("oauth_clients.id", ondelete="CASCADE"),
        index=True,
    )
    login_session_id: Mapped[UUID] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    redirect_uri: Mapped[str] = mapped_column(Text)
    scopes: Mapped[str] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(String(limits.CODE_CHALLENGE_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class AuthorizationCode(Base):
    """Exchanged once for tokens. `session_id` is the session that they belong to.

    The code is void once `epoch` is no longer that of the user, or the session is revoked in which
    the user approved it.
    """

    __tablename__ = "authorization_codes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    client_id: Mapped[str] = mapped_column(
        String(limits.MAX_CLIENT_ID_LENGTH),
        ForeignKey("oauth_clients.id", ondelete="CASCADE"),
        index=True,
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int] = mapped_column(Integer)
    login_session_id: Mapped[UUID] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    redirect_uri: Mapped[str] = mapped_column(Text)
    scopes: Mapped[str] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(String(limits.CODE_CHALLENGE_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    redeemed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    session_id: Mapped[UUID | None] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )

    __table_args__ = (CheckConstraint("length(code_digest) = 32", name="code_digest_is_sha256"),)
