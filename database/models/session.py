"""A session: one login of one user on one client, with an absolute end."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from database import clock
from database.base import Base, PublicId, UTCDateTime
from database.models.user import User


class LoginSession(Base):
    """Named so that it is not taken for SQLAlchemy's `Session`. The table is `sessions`."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(PublicId, primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    epoch: Mapped[int] = mapped_column(Integer)
    client_id: Mapped[str | None] = mapped_column(String(200))
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_reason: Mapped[str | None] = mapped_column(String(64))

    user: Mapped[User] = relationship(lazy="raise")

    __table_args__ = (
        Index(None, user_id, created_at),
        # Few rows have it, so that the index stays small and most writes do not touch it.
        Index(
            None,
            revoked_at,
            postgresql_where=revoked_at.isnot(None),
            sqlite_where=revoked_at.isnot(None),
        ),
    )
