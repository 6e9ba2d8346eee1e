"""Create the table of names that an account has given up, and nobody else can take for a while."""

import sqlalchemy as sa
from alembic import op

from database.base import BigId, UTCDateTime

revision = "0015_released_names"
down_revision = "0015_usernames_of_digits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "released_names",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("ends_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_released_names"),
        sa.UniqueConstraint("name_digest", name="uq_released_names_name_digest"),
        sa.CheckConstraint(
            "length(name_digest) = 32", name=op.f("ck_released_names_name_digest_is_sha256")
        ),
    )
    op.create_index("ix_released_names_user_id", "released_names", ["user_id"])
    op.create_index("ix_released_names_ends_at", "released_names", ["ends_at"])


def downgrade() -> None:
    op.drop_table("released_names")
