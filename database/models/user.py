"""Users: accounts with an e-mail address, a password hash and roles."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, String, func, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from database import clock, limits
from database.base import Base, UTCDateTime
from database.models.known_address import KnownAddress
from database.models.role import Role, user_roles
from database.search import word_index

# Stored for a user who has no password, such as one for API keys alone.
NO_PASSWORD = "!"


class User(Base):
    """`session_epoch` is copied to each session; incrementing it invalidates all of them.

    `updated_at` is when profile, password or `is_active` last changed. Revoking sessions, or
    rehashing the same password, does not change it.

    `verified_email` is the address that the user has confirmed. If it is not `email`, but for case,
    the address is not verified: one that is changed by SQL never is. `pending_email` becomes the
    address once it is confirmed, until `pending_email_expires_at`.

    `webauthn_handle` names the user to authenticators: 32 random bytes, made with the first
    passkey.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(limits.MAX_STORED_EMAIL_LENGTH))
    verified_email: Mapped[str | None] = mapped_column(String(limits.MAX_STORED_EMAIL_LENGTH))
    pending_email: Mapped[str | None] = mapped_column(String(limits.MAX_STORED_EMAIL_LENGTH))
    pending_email_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    username: Mapped[str | None] = mapped_column(String(limits.MAX_USERNAME_LENGTH))
    name: Mapped[str] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    surname: Mapped[str | None] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    website: Mapped[str | None] = mapped_column(String(limits.MAX_TEXT_LENGTH))
    hashed_password: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    session_epoch: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    webauthn_handle: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime, server_default=clock.now(), onupdate=clock.now()
    )

    roles: Mapped[list[Role]] = relationship(
        secondary=user_roles, lazy="raise", order_by=Role.name, passive_deletes=True
    )
    known_addresses: Mapped[list[KnownAddress]] = relationship(lazy="raise", viewonly=True)

    @property
    def has_password(self) -> bool:
        """Whether there is a password by which to log in."""
        return self.hashed_password != NO_PASSWORD

    @property
    def is_email_verified(self) -> bool:
        """Whether the user has confirmed the present address."""
        return self.verified_email is not None and (
            self.verified_email.lower() == self.email.lower()
        )

    __table_args__ = (
        # Commands take an id, a username or an address in one argument.
        CheckConstraint(
            "trim(ltrim(username, ' +-'), ' 0123456789') <> ''", name="username_is_no_number"
        ),
        # An address inserted by SQL may have upper-case letters and must still be unique.
        Index("uq_users_email", func.lower(email), unique=True),
        Index("uq_users_username", func.lower(username), unique=True),
        Index(
            "uq_users_webauthn_handle",
            webauthn_handle,
            unique=True,
            postgresql_where=text("webauthn_handle IS NOT NULL"),
            sqlite_where=text("webauthn_handle IS NOT NULL"),
        ),
        Index(
            "ix_users_words",
            word_index(email, username, name, surname),
            postgresql_using="gin",
        ).ddl_if(dialect="postgresql"),
        # For pruning: only these users can have sessions of an old epoch.
        Index(
            "ix_users_raised_epochs",
            "id",
            postgresql_where=text("session_epoch > 0"),
            sqlite_where=text("session_epoch > 0"),
        ),
        # Audit events name users by id, so the id of a deleted user must not be reused.
        {"sqlite_autoincrement": True},
    )
