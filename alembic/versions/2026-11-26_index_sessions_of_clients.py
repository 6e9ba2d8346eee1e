"""Index the sessions of registered clients, to delete and revoke them with their client."""

from alembic import op

from database import index_building

revision = "0025_sessions_of_clients"
down_revision = "0025_oauth_clients"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on = "sessions (oauth_client_id, user_id) WHERE oauth_client_id IS NOT NULL"
    index_building.build(op.get_bind(), "ix_sessions_oauth_client_id", on)


def downgrade() -> None:
    op.drop_index("ix_sessions_oauth_client_id", "sessions")
