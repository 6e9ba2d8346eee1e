"""Prepare the tables for pruning and updates at millions of rows.

The index finds the users whose sessions may be of an old epoch. `pruning_scan` keeps, for all
processes, how far the scan for unusable sessions has come. On PostgreSQL, space left in the pages
of `sessions` lets the frequent updates of `last_used_at` change no index, and autovacuum starts
after 2 % of a table has changed: by default it waits for 20 %, millions of dead rows.
"""

import sqlalchemy as sa
from alembic import op

from database.base import PublicId

revision = "0018_prune_large_tables"
down_revision = "0017_confirmed_sessions"
branch_labels = None
depends_on = None

RAISED = sa.text("session_epoch > 0")
BIG_TABLES = ("sessions", "access_tokens", "refresh_tokens", "audit_events")
AUTOVACUUM = (
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_analyze_scale_factor",
)


def upgrade() -> None:
    op.create_table(
        "pruning_scan",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("after", PublicId(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pruning_scan"),
        sa.CheckConstraint("id = 1", name=op.f("ck_pruning_scan_is_only_row")),
    )
    op.create_index(
        "ix_users_raised_epochs", "users", ["id"], postgresql_where=RAISED, sqlite_where=RAISED
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE sessions SET (fillfactor = 85)")
        for table in BIG_TABLES:
            settings = ", ".join(f"{name} = 0.02" for name in AUTOVACUUM)
            op.execute(f"ALTER TABLE {table} SET ({settings})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in BIG_TABLES:
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(AUTOVACUUM)})")
        op.execute("ALTER TABLE sessions RESET (fillfactor)")
    op.drop_index("ix_users_raised_epochs", "users")
    op.drop_table("pruning_scan")
