"""Create the table of daily uses of API keys, and the columns of their limits and of the notice.

The new columns are NULL, so no row is written anew.
"""

import sqlalchemy as sa
from alembic import op

from database.base import PublicId, UTCDateTime

revision = "0022_api_key_uses"
down_revision = "0020_second_factors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("requests_per_minute", sa.Integer()))
    op.add_column("api_keys", sa.Column("expiry_noticed_at", UTCDateTime()))
    op.create_table(
        "api_key_uses",
        sa.Column("api_key_id", PublicId(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api_key_id", "day", name="pk_api_key_uses"),
        sa.ForeignKeyConstraint(
            ["api_key_id"],
            ["api_keys.id"],
            name="fk_api_key_uses_api_key_id_api_keys",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_api_key_uses_day", "api_key_uses", ["day"])


def downgrade() -> None:
    op.drop_table("api_key_uses")
    # Both databases drop a column in place by this; a batch would make the table anew.
    op.execute("ALTER TABLE api_keys DROP COLUMN expiry_noticed_at")
    op.execute("ALTER TABLE api_keys DROP COLUMN requests_per_minute")
