"""Registered clients: the applications that may ask users for access."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Integer, LargeBinary, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, UTCDateTime


class OAuthClient(Base):
    """A public client has no secret. While a secret is rotated, the previous one works as well.

    `redirect_uris`, `scopes` and `grants` are separated by single spaces. A first-party client
    needs no consent. `account_id` is the user for whom the grant `client_credentials` acts.
    Lifetimes that are NULL are those of the service.
    """

    __tablename__ = "oauth_clients"

    id: Mapped[str] = mapped_column(String(limits.MAX_CLIENT_ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    redirect_uris: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    scopes: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    grants: Mapped[str] = mapped_column(Text)
    is_first_party: Mapped[bool] = mapped_column(default=False, server_default=false())
    account_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    access_token_seconds: Mapped[int | None] = mapped_column(Integer)
    refresh_token_seconds: Mapped[int | None] = mapped_column(Integer)
    session_seconds: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def is_confidential(self) -> bool:
        """Whether it has a secret."""
        return self.secret_digest is not None

    __table_args__ = (
        CheckConstraint("length(secret_digest) = 32", name="secret_digest_is_sha256"),
        CheckConstraint(
            "length(previous_secret_digest) = 32", name="previous_secret_digest_is_sha256"
        ),
        CheckConstraint(
            "(previous_secret_digest IS NULL) = (previous_secret_expires_at IS NULL)",
            name="previous_secret_expires",
        ),
    )
