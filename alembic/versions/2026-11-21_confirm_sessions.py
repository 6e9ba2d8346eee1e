"""Note in each session when its user's password was last asked for."""

import sqlalchemy as sa
from alembic import op

from database.base import UTCDateTime

revision = "0009_confirmed_at"
down_revision = "0008_throttle"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("confirmed_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "confirmed_at")
