"""How far the scan for unusable sessions has come."""

from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, PublicId


class PruningScan(Base):
    """The only row of its table. The next scan begins with the session that follows `after`."""

    __tablename__ = "pruning_scan"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    after: Mapped[UUID] = mapped_column(PublicId)

    __table_args__ = (CheckConstraint("id = 1", name="is_only_row"),)
