"""Access tokens, which clients send with each request. Only their digests are stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock
from database.base import Base, BigId, PublicId, UTCDateTime


class AccessToken(Base):
    """`scopes` is NULL if the token has all scopes of the user's roles.

    When a refresh replaces a token, its row is kept until it is pruned, because the used refresh
    token refers to it. The reuse of that refresh token reveals a theft.
    """

    __tablename__ = "access_tokens"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    __table_args__ = (CheckConstraint("length(token_digest) = 32", name="token_digest_is_sha256"),)
