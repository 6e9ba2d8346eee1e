"""Refresh tokens, each of which is exchanged once for a new pair in the same session."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock
from database.base import Base, BigId, PublicId, UTCDateTime


class RefreshToken(Base):
    """Deleted with the access token that it was issued with.

    `scopes` is what the login was granted. Each successor has the same scopes, even if the refresh
    requested an access token with fewer (RFC 6749, 6). `parent_id` is the token that it was
    exchanged for. Within the grace, one token can be the parent of several.
    """

    __tablename__ = "refresh_tokens"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    access_token_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("access_tokens.id", ondelete="CASCADE"), index=True
    )
    session_id: Mapped[UUID] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    # No foreign key, because SQLite would have to remake the table.
    parent_id: Mapped[int | None] = mapped_column(BigId, index=True)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    first_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (CheckConstraint("length(token_digest) = 32", name="token_digest_is_sha256"),)
