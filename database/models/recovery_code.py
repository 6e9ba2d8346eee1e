"""Recovery codes: each is accepted once in place of a second factor that was lost."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from database import clock
from database.base import Base, BigId, UTCDateTime


class RecoveryCode(Base):
    """Of the code only the digest is stored, which suffices for 120 random bits."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    code_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (CheckConstraint("length(code_digest) = 32", name="code_digest_is_sha256"),)
