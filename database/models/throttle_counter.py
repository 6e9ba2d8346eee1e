"""Throttle counters: the number of attempts in a window of time."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, BigId, UTCDateTime


class ThrottleCounter(Base):
    """`key_digest` is a digest of what is counted, so that the table holds no e-mail addresses.

    `ends_at` is the end of the window. NULL means that the counter runs until it is reset; such a
    counter belongs to a user and is deleted with the user.
    """

    __tablename__ = "throttle_counters"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    attempts: Mapped[int] = mapped_column(BigInteger)
    ends_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)

    __table_args__ = (
        CheckConstraint("length(key_digest) = 32", name="key_digest_is_sha256"),
        CheckConstraint("ends_at IS NOT NULL OR user_id IS NOT NULL", name="ends_or_has_a_user"),
    )
