"""Passkeys: public keys of authenticators that users sign in with (WebAuthn)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, PublicId, UTCDateTime
from database.ids import uuid7


class Passkey(Base):
    """`sign_count` never decreases: a lower one was signed by a copy of the authenticator."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(PublicId, primary_key=True, default=uuid7)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    # An unsigned number of 32 bits.
    sign_count: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    backup_eligible: Mapped[bool]
    backed_up: Mapped[bool]
    transports: Mapped[str | None] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    aaguid: Mapped[UUID | None] = mapped_column(PublicId)
    name: Mapped[str] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    clone_suspected_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
