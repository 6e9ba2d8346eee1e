"""Let a primary show that it was not replaced: `beat` rises by commits that a standby confirms.

`began_at` is when a server that was promoted began its reign. It takes writes only a while later.
"""

import sqlalchemy as sa
from alembic import op

from database.base import UTCDateTime

revision = "0026_beats"
down_revision = "0025_sessions_of_clients"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reign", sa.Column("beat", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("reign", sa.Column("began_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("reign", "began_at")
    op.drop_column("reign", "beat")
