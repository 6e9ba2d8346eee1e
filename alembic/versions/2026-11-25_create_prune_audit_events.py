"""Create the function by which a role that may only append to the audit log prunes it.

It runs with the rights of its owner, deletes nothing younger than 30 days, and may be called by
those roles alone to which it is granted (database/grants.py).
"""

from alembic import op
from sqlalchemy import text

revision = "0013_database_roles"
down_revision = "0012_lookup_views"
branch_labels = None
depends_on = None

# With pg_temp last, a temporary table of the caller is not taken for the audit log.
FUNCTION = """
CREATE FUNCTION prune_audit_events(recorded_before timestamptz, most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = {schema}, pg_temp
AS $$
  WITH old AS (
    SELECT id FROM audit_events
    WHERE at < least(recorded_before, now() - interval '30 days')
    ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED
  ), deleted AS (
    DELETE FROM audit_events WHERE id IN (SELECT id FROM old) RETURNING id
  )
  SELECT count(*)::integer FROM deleted
$$
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        schema = connection.scalar(text("SELECT quote_ident(current_schema())"))
        op.execute(FUNCTION.format(schema=schema))
        op.execute("REVOKE ALL ON FUNCTION prune_audit_events FROM PUBLIC")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION prune_audit_events")
