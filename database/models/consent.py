"""Consents: what users have allowed clients to do for them."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database import clock, limits
from database.base import Base, UTCDateTime


class Consent(Base):
    """`scopes` are separated by spaces. Whoever takes a consent back ends its sessions as well."""

    __tablename__ = "consents"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    client_id: Mapped[str] = mapped_column(
        String(limits.MAX_CLIENT_ID_LENGTH),
        ForeignKey("oauth_clients.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    )
    scopes: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=clock.now())
