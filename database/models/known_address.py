"""Known addresses: network addresses from which a user has logged in before."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database import clock
from database.base import Base, BigId, UTCDateTime


class KnownAddress(Base):
    """Stores a digest of user and address, so that the table reveals no addresses."""

    __tablename__ = "known_addresses"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    address_digest: Mapped[bytes] = mapped_column(LargeBinary)
    last_used_at: Mapped[datetime] = mapped_column(
        UTCDateTime, server_default=clock.now(), index=True
    )

    __table_args__ = (
        UniqueConstraint(user_id, address_digest),
        CheckConstraint("length(address_digest) = 32", name="address_digest_is_sha256"),
    )
