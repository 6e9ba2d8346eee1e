"""How often an API key was used on a day."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Date, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, PublicId


class ApiKeyUse(Base):
    """`day` is one of UTC. A request that was rejected for its key's limit counts as well."""

    __tablename__ = "api_key_uses"

    api_key_id: Mapped[UUID] = mapped_column(
        PublicId, ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True, index=True)
    uses: Mapped[int] = mapped_column(BigInteger)
