"""Sessions: each is one login of one user on one client, with an absolute expiry."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from database import clock, limits
from database.base import Base, PublicId, UTCDateTime
from database.ids import uuid7
from database.models.user import User


class LoginSession(Base):
    """A row of `sessions`. The name avoids confusion with SQLAlchemy's `Session`.

    `confirmed_at` is when the user last confirmed who they are in this session, by the strongest
    factor that they have; `second_factor_at` is when that was more than a password. `amr` names
    what was given, separated by spaces (RFC 8176). `kind` is where its tokens are accepted: see
    counterfoil.identity.SessionKind. `oauth_client_id` is the registered client that it is bound
    to, with which it is deleted.

    No index may contain `last_used_at`: its frequent updates would then change every index.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(PublicId, primary_key=True, default=uuid7)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    epoch: Mapped[int] = mapped_column(Integer)
    client_id: Mapped[str | None] = mapped_column(String(limits.MAX_LABEL_LENGTH))
    ip: Mapped[str | None] = mapped_column(String(limits.MAX_IP_LENGTH))
    user_agent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_reason: Mapped[str | None] = mapped_column(String(64))
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    second_factor_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    amr: Mapped[str | None] = mapped_column(String(limits.MAX_AMR_LENGTH))
    kind: Mapped[str] = mapped_column(String(16), default="api", server_default=text("'api'"))
    oauth_client_id: Mapped[str | None] = mapped_column(
        String(limits.MAX_CLIENT_ID_LENGTH), ForeignKey("oauth_clients.id", ondelete="CASCADE")
    )

    user: Mapped[User] = relationship(lazy="raise")

    __table_args__ = (Index(None, user_id, created_at),)


# For pruning, and for counting open sessions without reading the table. Few rows are revoked, so
# the index is small and most writes do not update it.
Index(
    "ix_sessions_revoked_at_created_at_expires_at",
    LoginSession.revoked_at,
    LoginSession.created_at,
    LoginSession.expires_at,
    postgresql_where=LoginSession.revoked_at.isnot(None),
    sqlite_where=LoginSession.revoked_at.isnot(None),
)

# To find the sessions of a client with which they are deleted, and of one consent.
_IS_BOUND = LoginSession.oauth_client_id.isnot(None)

Index(
    "ix_sessions_oauth_client_id",
    LoginSession.oauth_client_id,
    LoginSession.user_id,
    postgresql_where=_IS_BOUND,
    sqlite_where=_IS_BOUND,
)

# For lists and counts across all users, which would otherwise read all revoked sessions.
_UNREVOKED = LoginSession.revoked_at.is_(None)

Index(
    "ix_sessions_unrevoked_expires_at",
    LoginSession.expires_at,
    postgresql_where=_UNREVOKED,
    sqlite_where=_UNREVOKED,
)
Index(
    "ix_sessions_unrevoked_created_at_id",
    LoginSession.created_at,
    LoginSession.id,
    postgresql_where=_UNREVOKED,
    sqlite_where=_UNREVOKED,
)
for _column in (LoginSession.client_id, LoginSession.ip):
    Index(
        f"ix_sessions_unrevoked_{_column.key}",
        func.lower(_column).label("lowered"),
        # LIKE can use the index only with this operator class if the collation is not "C".
        postgresql_ops={"lowered": "text_pattern_ops"},
        postgresql_where=_UNREVOKED,
        sqlite_where=_UNREVOKED,
    )
