"""Index what administrators search and page through."""

import sqlalchemy as sa
from alembic import op

revision = "0006_administration"
down_revision = "0005_api_keys_replaced_at"
branch_labels = None
depends_on = None

UNREVOKED = sa.text("revoked_at IS NULL")
# The same expression as in database/search.py, or PostgreSQL would not use the index.
USER_WORDS = """
to_tsvector('simple'::regconfig, translate(
  coalesce(email, '') || ' ' || coalesce(username, '') || ' ' || coalesce(name, '')
  || ' ' || coalesce(surname, ''),
  '@./:+-_#&~<>=?', '              '
))
"""


def upgrade() -> None:
    index_sessions()
    op.create_index("ix_audit_events_actor_at", "audit_events", ["actor", "at"])
    op.create_index("ix_audit_events_ip_at", "audit_events", ["ip", "at"])
    if op.get_bind().dialect.name == "postgresql":
        # SQLite reads through the users: it has no such index, and embedded there are not so many.
        op.create_index("ix_users_words", "users", [sa.text(USER_WORDS)], postgresql_using="gin")


def index_sessions() -> None:
    # LIKE uses an index only with these operators, unless the database's collation is "C".
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    operators = " text_pattern_ops" if is_postgresql else ""
    indexes: dict[str, list[str | sa.TextClause]] = {
        "created_at_id": ["created_at", "id"],
        "client_id": [sa.text(f"lower(client_id){operators}")],
        "ip": [sa.text(f"lower(ip){operators}")],
    }
    for name, columns in indexes.items():
        op.create_index(
            f"ix_sessions_unrevoked_{name}",
            "sessions",
            columns,
            postgresql_where=UNREVOKED,
            sqlite_where=UNREVOKED,
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_users_words", "users")
    op.drop_index("ix_audit_events_ip_at", "audit_events")
    op.drop_index("ix_audit_events_actor_at", "audit_events")
    for name in ("ip", "client_id", "created_at_id"):
        op.drop_index(f"ix_sessions_unrevoked_{name}", "sessions")
