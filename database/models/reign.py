"""Which primary continues the write-ahead log."""

from uuid import UUID

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, PublicId


class Reign(Base):
    """The only row of its table, written by the first service that finds a new primary.

    A standby answers only for marks of the `nonce` that it has replayed. `timeline` is that of the
    primary's log, as the names of its files have it.
    """

    __tablename__ = "reign"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    nonce: Mapped[UUID] = mapped_column(PublicId)
    timeline: Mapped[str] = mapped_column(String(8))

    __table_args__ = (CheckConstraint("id = 1", name="is_only_row"),)
