"""Add to API keys since when they have a successor."""

import sqlalchemy as sa
from alembic import op

from database.base import UTCDateTime

revision = "0005_api_keys_replaced_at"
down_revision = "0004_never_reuse_user_ids"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("replaced_at", UTCDateTime()))


def downgrade() -> None:
    op.drop_column("api_keys", "replaced_at")
