"""TOTP factors: authenticator apps that make codes from a shared secret (RFC 6238)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, PublicId, UTCDateTime
from database.ids import uuid7


class TotpFactor(Base):
    """Asked for once it is confirmed by a first code. `last_step` is that of the last code used.

    A step is 30 seconds since 1970; no code of `last_step` or an earlier one is accepted.
    """

    __tablename__ = "totp_factors"

    id: Mapped[UUID] = mapped_column(PublicId, primary_key=True, default=uuid7)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
