"""Index what has been revoked, so that pruning finds it without reading the tables."""

import sqlalchemy as sa
from alembic import op

revision = "0007_index_revoked_at"
down_revision = "0006_administration"
branch_labels = None
depends_on = None

TABLES = ("sessions", "api_keys")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(
            f"ix_{table}_revoked_at",
            table,
            ["revoked_at"],
            postgresql_where=sa.text("revoked_at IS NOT NULL"),
            sqlite_where=sa.text("revoked_at IS NOT NULL"),
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_revoked_at", table_name=table)
