"""Device codes: authorizations of devices on which nobody can sign in (RFC 8628)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, BigId, PublicId, UTCDateTime


class DeviceCode(Base):
    """Made by a device, which polls with its code; approved or denied by the user's code.

    `ip` and `user_agent` are those of the device. The user, their epoch and the session in which
    they approved are NULL until then. `interval_seconds` grows each time it polls too soon.
    """

    __tablename__ = "device_codes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    device_code_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_code_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    client_id: Mapped[str] = mapped_column(
        String(limits.MAX_CLIENT_ID_LENGTH),
        ForeignKey("oauth_clients.id", ondelete="CASCADE"),
        index=True,
    )
    scopes: Mapped[str] = mapped_column(Text)
    ip: Mapped[str | None] = mapped_column(String(limits.MAX_IP_LENGTH))
    user_agent: Mapped[str | None] = mapped_column(Text)
    interval_seconds: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    polled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    epoch: Mapped[int | None] = mapped_column(Integer)
    login_session_id: Mapped[UUID | None] = mapped_column(
        PublicId, ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    approved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    denied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    redeemed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint("length(device_code_digest) = 32", name="device_code_digest_is_sha256"),
    )
