"""Roles, which give scopes to users."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from database import limits
from database.base import Base


class Role(Base):
    """`scopes` is a space-delimited list (RFC 6749, 3.3).

    One that requires a second factor gives nothing to a session in which none was given.
    """

    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(limits.MAX_ROLE_LENGTH), unique=True)
    description: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    scopes: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    requires_second_factor: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (
        # The lookup returns "name=scopes" pairs separated by ";". The header X-Auth-Roles separates
        # names by commas.
        CheckConstraint(
            "name <> '' AND name NOT LIKE '%=%' AND name NOT LIKE '%;%' AND name NOT LIKE '%,%'",
            name="name_without_separators",
        ),
        CheckConstraint("scopes NOT LIKE '%;%'", name="scopes_without_separators"),
    )


user_roles = Table(
    "user_roles",
    Base.metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)
