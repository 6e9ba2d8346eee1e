"""Give sessions a kind, and API keys the roles that they are made with.

A session whose label is "console" becomes one of the console: the label was all that told them
apart. An API key that is there already is given the roles that its user has now; what it can use of
them is bounded by its scopes, as ever.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011_kinds_and_roles"
down_revision = "0010_open_sessions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a constant default the rows need not be written anew, so the lock is short.
    kind = sa.Column("kind", sa.String(16), server_default="api", nullable=False)
    op.add_column("sessions", kind)
    op.execute(
        "UPDATE sessions SET kind = 'console'"
        " WHERE revoked_at IS NULL AND lower(client_id) = 'console' AND client_id = 'console'"
    )
    op.add_column("api_keys", sa.Column("roles", sa.Text()))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    aggregate = "group_concat" if is_sqlite else "string_agg"
    op.execute(
        f"UPDATE api_keys SET roles = (SELECT {aggregate}(roles.name, ',')"  # noqa: S608
        " FROM user_roles JOIN roles ON roles.id = user_roles.role_id"
        " WHERE user_roles.user_id = api_keys.user_id)"
    )


def downgrade() -> None:
    op.drop_column("api_keys", "roles")
    op.drop_column("sessions", "kind")
