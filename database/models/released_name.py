"""Released names: e-mail addresses and usernames that an account has given up a short while ago."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, BigId, UTCDateTime


class ReleasedName(Base):
    """Until `ends_at`, only the account with the id `user_id` can have the name again.

    That id is no foreign key, because the row outlives the account. `name_digest` is a digest of
    the name, so that the table holds no names of deleted accounts.
    """

    __tablename__ = "released_names"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int] = mapped_column(Integer, index=True)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    __table_args__ = (CheckConstraint("length(name_digest) = 32", name="name_digest_is_sha256"),)
