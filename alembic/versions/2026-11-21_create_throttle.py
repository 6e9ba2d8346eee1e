"""Create throttle counters and known addresses."""

import sqlalchemy as sa
from alembic import op

from database import clock
from database.base import BigId, UTCDateTime

revision = "0008_throttle"
down_revision = "0007_index_revoked_at"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_throttle_counters()
    create_known_addresses()


def create_throttle_counters() -> None:
    op.create_table(
        "throttle_counters",
        sa.Column("id", BigId, nullable=False),
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer()),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", UTCDateTime()),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_throttle_counters_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_throttle_counters"),
        sa.UniqueConstraint("key_digest", name="uq_throttle_counters_key_digest"),
        sa.CheckConstraint(
            "length(key_digest) = 32", name=op.f("ck_throttle_counters_key_digest_is_sha256")
        ),
        sa.CheckConstraint(
            "ends_at IS NOT NULL OR user_id IS NOT NULL",
            name=op.f("ck_throttle_counters_ends_or_has_a_user"),
        ),
    )
    op.create_index("ix_throttle_counters_user_id", "throttle_counters", ["user_id"])
    op.create_index("ix_throttle_counters_ends_at", "throttle_counters", ["ends_at"])


def create_known_addresses() -> None:
    op.create_table(
        "known_addresses",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("address_digest", sa.LargeBinary(), nullable=False),
        sa.Column("last_used_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_known_addresses_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_known_addresses"),
        sa.UniqueConstraint(
            "user_id", "address_digest", name="uq_known_addresses_user_id_address_digest"
        ),
        sa.CheckConstraint(
            "length(address_digest) = 32", name=op.f("ck_known_addresses_address_digest_is_sha256")
        ),
    )
    op.create_index("ix_known_addresses_last_used_at", "known_addresses", ["last_used_at"])


def downgrade() -> None:
    op.drop_table("known_addresses")
    op.drop_table("throttle_counters")
