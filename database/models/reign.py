"""Which primary continues the write-ahead log."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, String, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, PublicId, UTCDateTime


class Reign(Base):
    """The only row of its table, written by the first service that finds a new primary.

    A standby answers only for marks of the `nonce` that it has replayed. `timeline` is that of the
    primary's log, as the names of its files have it. `beat` rises all the time where former
    primaries are fenced off; `began_at` is only known of a reign that a promotion began.
    """

    __tablename__ = "reign"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    nonce: Mapped[UUID] = mapped_column(PublicId)
    timeline: Mapped[str] = mapped_column(String(8))
    beat: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    began_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (CheckConstraint("id = 1", name="is_only_row"),)
