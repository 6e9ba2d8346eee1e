"""Add to refresh tokens which one they were exchanged for, to find those that share a parent."""

import sqlalchemy as sa
from alembic import op

from database.base import BigId

revision = "0016_refresh_parents"
down_revision = "0015_released_names"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refresh_tokens", sa.Column("parent_id", BigId))
    op.create_index("ix_refresh_tokens_parent_id", "refresh_tokens", ["parent_id"])


def downgrade() -> None:
    op.drop_index("ix_refresh_tokens_parent_id", "refresh_tokens")
    op.drop_column("refresh_tokens", "parent_id")
