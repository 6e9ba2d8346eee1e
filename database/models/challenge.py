"""Challenges: steps that have begun and wait for a second request, such as a login for its code."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, PublicId, UTCDateTime


class Challenge(Base):
    """Consumed by its deletion, so that it works once.

    `epoch` is the user's `session_epoch` when it began: a login of which the sessions have been
    revoked does not go on. `session_id` is that of the session that began it, where there is one.
    `data` is what the second request needs, such as the scopes that a login asked for.
    """

    __tablename__ = "challenges"

    token_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str] = mapped_column(String(limits.MAX_CHALLENGE_KIND_LENGTH))
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    session_id: Mapped[UUID | None] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    epoch: Mapped[int | None] = mapped_column(Integer)
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    __table_args__ = (CheckConstraint("length(token_digest) = 32", name="token_digest_is_sha256"),)
