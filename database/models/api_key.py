"""API keys: named, scoped, long-lived credentials of a user for integrations."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, PublicId, UTCDateTime


class ApiKey(Base):
    """`hint` is the last four characters of the key, by which its owner recognises it.

    `expires_at` is NULL for a key that does not expire, `scopes` for all scopes of the user's
    roles. `roles` are the names of those it was made with, separated by commas.
    `replaced_at` is when the key was rotated; it stays valid until it expires.
    `requests_per_minute` is NULL for a key without limit; `expiry_noticed_at` is when its owner was
    told that it will expire.
    """

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(PublicId, primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    key_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    hint: Mapped[str] = mapped_column(String(limits.HINT_LENGTH))
    scopes: Mapped[str | None] = mapped_column(Text)
    roles: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    replaced_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    requests_per_minute: Mapped[int | None]
    expiry_noticed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint("length(key_digest) = 32", name="key_digest_is_sha256"),
        Index(
            None,
            revoked_at,
            postgresql_where=revoked_at.isnot(None),
            sqlite_where=revoked_at.isnot(None),
        ),
    )
