"""Let standbys answer lookups: `reign` names the primary, `wait_for_mark` waits for its log.

The service writes the only row of the table once it has a standby to ask.
"""

import sqlalchemy as sa
from alembic import op

from database.base import PublicId

revision = "0024_reign"
down_revision = "0022_api_key_uses"
branch_labels = None
depends_on = None

# The reign is read last, because a standby may just be replaying that of a new primary.
WAIT_FOR_MARK = """
CREATE FUNCTION wait_for_mark(mark pg_lsn, of_reign uuid, patience interval) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  give_up_at timestamptz := clock_timestamp() + patience;
BEGIN
  IF NOT pg_is_in_recovery() THEN
    RAISE EXCEPTION USING ERRCODE = 'CF002', MESSAGE = 'this server is not a standby';
  END IF;
  LOOP
    EXIT WHEN pg_last_wal_replay_lsn() >= mark;
    IF clock_timestamp() >= give_up_at THEN
      RAISE EXCEPTION USING ERRCODE = 'CF001', MESSAGE = 'this standby has not reached the mark';
    END IF;
    PERFORM pg_sleep(0.0005);
  END LOOP;
  IF NOT EXISTS (SELECT FROM reign WHERE nonce = of_reign) THEN
    RAISE EXCEPTION USING ERRCODE = 'CF003', MESSAGE = 'this standby follows another primary';
  END IF;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "reign",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("nonce", PublicId, nullable=False),
        sa.Column("timeline", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reign"),
        sa.CheckConstraint("id = 1", name=op.f("ck_reign_is_only_row")),
    )
    if is_postgresql():
        op.execute(WAIT_FOR_MARK)


def downgrade() -> None:
    if is_postgresql():
        op.execute("DROP FUNCTION wait_for_mark")
    op.drop_table("reign")


def is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
