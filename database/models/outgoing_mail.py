"""The outbox: mails that are to be sent, and what became of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, BigId, UTCDateTime


class OutgoingMail(Base):
    """Written in the transaction of what it tells of. It holds no link.

    Links are made when it is sent. `user_id` is NULL where the address alone was given, which may
    be nobody's. `leased_until` is until when one worker tries to send it; a worker that dies leaves
    a lease that ends.
    """

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(limits.MAX_MAIL_KIND_LENGTH))
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    address: Mapped[str] = mapped_column(String(limits.MAX_STORED_EMAIL_LENGTH))
    locale: Mapped[str] = mapped_column(String(limits.MAX_LOCALE_LENGTH))
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, server_default=clock.now(), index=True
    )
    next_attempt_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error_code: Mapped[str | None] = mapped_column(String(limits.MAX_ERROR_CODE_LENGTH))

    __table_args__ = (
        Index(
            "ix_outbox_due",
            next_attempt_at,
            postgresql_where=text("sent_at IS NULL AND failed_at IS NULL"),
            sqlite_where=text("sent_at IS NULL AND failed_at IS NULL"),
        ),
        # Asking again voids what was asked before and has not been sent.
        Index(
            "ix_outbox_unsent_by_address",
            address,
            postgresql_where=text("sent_at IS NULL AND failed_at IS NULL"),
            sqlite_where=text("sent_at IS NULL AND failed_at IS NULL"),
        ),
    )
