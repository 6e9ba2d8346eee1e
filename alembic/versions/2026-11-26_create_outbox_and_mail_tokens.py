"""Create the outbox and the tokens of mails; add verified and pending addresses to users."""

import sqlalchemy as sa
from alembic import op

from database import clock
from database.base import BigId, UTCDateTime

revision = "0019_mail"
down_revision = "0018_live_credentials"
branch_labels = None
depends_on = None

UNSENT = sa.text("sent_at IS NULL AND failed_at IS NULL")


def upgrade() -> None:
    op.add_column("users", sa.Column("verified_email", sa.String(320)))
    op.add_column("users", sa.Column("pending_email", sa.String(320)))
    op.add_column("users", sa.Column("pending_email_expires_at", UTCDateTime()))
    create_mail_tokens()
    create_outbox()


def create_mail_tokens() -> None:
    op.create_table(
        "mail_tokens",
        sa.Column("id", BigId, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary()),
        sa.Column("transaction_digest", sa.LargeBinary()),
        sa.Column("user_id", sa.Integer()),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("current_address", sa.String(320)),
        sa.Column("data", sa.JSON()),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_mail_tokens"),
        sa.UniqueConstraint("token_digest", name="uq_mail_tokens_token_digest"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_mail_tokens_user_id_users", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "length(token_digest) = 32", name=op.f("ck_mail_tokens_token_digest_is_sha256")
        ),
        sa.CheckConstraint(
            "user_id IS NOT NULL OR data IS NOT NULL",
            name=op.f("ck_mail_tokens_has_a_user_or_makes_one"),
        ),
    )
    for column in ("transaction_digest", "user_id", "address", "expires_at"):
        op.create_index(f"ix_mail_tokens_{column}", "mail_tokens", [column])


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", BigId, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Integer()),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("data", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("next_attempt_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("leased_until", UTCDateTime()),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", UTCDateTime()),
        sa.Column("failed_at", UTCDateTime()),
        sa.Column("error_code", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_outbox_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_outbox_user_id", "outbox", ["user_id"])
    op.create_index("ix_outbox_created_at", "outbox", ["created_at"])
    for name, column in (("due", "next_attempt_at"), ("unsent_by_address", "address")):
        op.create_index(
            f"ix_outbox_{name}",
            "outbox",
            [column],
            postgresql_where=UNSENT,
            sqlite_where=UNSENT,
        )


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_table("mail_tokens")
    for column in ("verified_email", "pending_email", "pending_email_expires_at"):
        op.drop_column("users", column)
