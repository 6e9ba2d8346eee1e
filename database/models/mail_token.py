"""Mail tokens: what the links and codes in mails can do, once."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, BigId, UTCDateTime


class MailToken(Base):
    """Made when a mail is sent. A mail that is sent twice has two, of which one can be used.

    `address` is where the mail went, in lower case, `current_address` what the account had when it
    was asked for: a token is void once that has changed. `transaction_digest` is of what the client
    was given that asked; with it, the code in the mail can be used in place of the link, while
    `attempts` are few. `data` is what has to be known when the token is used, such as the account
    that begins with the confirmation of its address, and has no user yet.
    """

    __tablename__ = "mail_tokens"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(limits.MAX_MAIL_KIND_LENGTH))
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    code_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    transaction_digest: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    address: Mapped[str] = mapped_column(String(limits.MAX_STORED_EMAIL_LENGTH), index=True)
    current_address: Mapped[str | None] = mapped_column(String(limits.MAX_STORED_EMAIL_LENGTH))
    data: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint("length(token_digest) = 32", name="token_digest_is_sha256"),
        CheckConstraint("user_id IS NOT NULL OR data IS NOT NULL", name="has_a_user_or_makes_one"),
    )
