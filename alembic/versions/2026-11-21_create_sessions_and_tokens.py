"""Create sessions, access tokens, refresh tokens and the view of live sessions."""

import sqlalchemy as sa
from alembic import op

from database import clock
from database.base import BigId, PublicId, UTCDateTime

revision = "0002_sessions_and_tokens"
down_revision = "0001_users"
branch_labels = None
depends_on = None

# What the view calls live is what database/queries/live.py says; a test holds the two together.
LIVE_SESSIONS = """
CREATE VIEW live_sessions AS
SELECT s.id AS session_id, s.user_id, u.email, u.username, s.client_id, s.ip, s.user_agent,
       s.created_at, s.last_used_at, s.expires_at
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.revoked_at IS NULL AND s.expires_at > {now} AND s.epoch = u.session_epoch AND u.is_active
  AND (
    EXISTS (
      SELECT 1 FROM access_tokens t WHERE t.session_id = s.id AND t.expires_at > {now}
    )
    OR EXISTS (
      SELECT 1 FROM refresh_tokens r
      WHERE r.session_id = s.id AND r.first_used_at IS NULL AND r.expires_at > {now}
    )
  )
"""


def upgrade() -> None:
    create_sessions()
    create_access_tokens()
    create_refresh_tokens()
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(LIVE_SESSIONS.format(now=clock.SQLITE_NOW if is_sqlite else "now()"))


def create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", PublicId(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(200)),
        sa.Column("ip", sa.String(45)),
        sa.Column("user_agent", sa.Text()),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("last_used_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime()),
        sa.Column("revoked_reason", sa.String(64)),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_sessions_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id_created_at", "sessions", ["user_id", "created_at"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def create_access_tokens() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", BigId, nullable=False),
        sa.Column("session_id", PublicId(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text()),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="fk_access_tokens_session_id_sessions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_access_tokens_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        sa.UniqueConstraint("token_digest", name="uq_access_tokens_token_digest"),
        sa.CheckConstraint(
            "length(token_digest) = 32", name=op.f("ck_access_tokens_token_digest_is_sha256")
        ),
    )
    op.create_index("ix_access_tokens_session_id", "access_tokens", ["session_id"])
    op.create_index("ix_access_tokens_user_id", "access_tokens", ["user_id"])
    op.create_index("ix_access_tokens_expires_at", "access_tokens", ["expires_at"])


def create_refresh_tokens() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("id", BigId, nullable=False),
        sa.Column("access_token_id", BigId, nullable=False),
        sa.Column("session_id", PublicId(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text()),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("first_used_at", UTCDateTime()),
        sa.ForeignKeyConstraint(
            ["access_token_id"],
            ["access_tokens.id"],
            name="fk_refresh_tokens_access_token_id_access_tokens",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="fk_refresh_tokens_session_id_sessions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
        sa.UniqueConstraint("token_digest", name="uq_refresh_tokens_token_digest"),
        sa.CheckConstraint(
            "length(token_digest) = 32", name=op.f("ck_refresh_tokens_token_digest_is_sha256")
        ),
    )
    op.create_index("ix_refresh_tokens_access_token_id", "refresh_tokens", ["access_token_id"])
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])


def downgrade() -> None:
    op.execute("DROP VIEW live_sessions")
    op.drop_table("refresh_tokens")
    op.drop_table("access_tokens")
    op.drop_table("sessions")
