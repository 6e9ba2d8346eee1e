"""Create registered clients, their authorizations and consents; bind sessions to their client."""

import sqlalchemy as sa
from alembic import op

from database import clock
from database.base import BigId, PublicId, UTCDateTime

revision = "0025_oauth_clients"
down_revision = "0024_reign"
branch_labels = None
depends_on = None

TABLES = ("device_codes", "authorization_codes", "authorization_requests", "consents")


def upgrade() -> None:
    create_clients()
    bind_sessions()
    create_consents()
    create_authorization_requests()
    create_authorization_codes()
    create_device_codes()


def create_clients() -> None:
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary()),
        sa.Column("previous_secret_digest", sa.LargeBinary()),
        sa.Column("previous_secret_expires_at", UTCDateTime()),
        sa.Column("redirect_uris", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("scopes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("is_first_party", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("account_id", sa.Integer()),
        sa.Column("access_token_seconds", sa.Integer()),
        sa.Column("refresh_token_seconds", sa.Integer()),
        sa.Column("session_seconds", sa.Integer()),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("disabled_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_clients"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["users.id"],
            name="fk_oauth_clients_account_id_users",
            ondelete="SET NULL",
        ),
        sa.CheckConstraint(
            "length(secret_digest) = 32", name=op.f("ck_oauth_clients_secret_digest_is_sha256")
        ),
        sa.CheckConstraint(
            "length(previous_secret_digest) = 32",
            name=op.f("ck_oauth_clients_previous_secret_digest_is_sha256"),
        ),
        sa.CheckConstraint(
            "(previous_secret_digest IS NULL) = (previous_secret_expires_at IS NULL)",
            name=op.f("ck_oauth_clients_previous_secret_expires"),
        ),
    )
    op.create_index("ix_oauth_clients_account_id", "oauth_clients", ["account_id"])


def bind_sessions() -> None:
    # As a part of the column, the foreign key needs no check: no row has a value yet. SQLite can
    # add it in no other way, but by copying the table.
    op.execute(
        "ALTER TABLE sessions ADD COLUMN oauth_client_id VARCHAR(64)"
        " CONSTRAINT fk_sessions_oauth_client_id_oauth_clients"
        " REFERENCES oauth_clients (id) ON DELETE CASCADE"
    )


def create_consents() -> None:
    op.create_table(
        "consents",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("granted_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "client_id", name="pk_consents"),
        *belongs_to("consents", "user_id", "client_id"),
    )
    op.create_index("ix_consents_client_id", "consents", ["client_id"])


def create_authorization_requests() -> None:
    op.create_table(
        "authorization_requests",
        sa.Column("id", BigId, nullable=False),
        sa.Column("transaction_digest", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("login_session_id", PublicId(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("state", sa.Text()),
        sa.Column("code_challenge", sa.String(43), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authorization_requests"),
        sa.UniqueConstraint(
            "transaction_digest", name="uq_authorization_requests_transaction_digest"
        ),
        *belongs_to("authorization_requests", "client_id", "login_session_id"),
    )
    index("authorization_requests", "client_id", "login_session_id", "expires_at")


def create_authorization_codes() -> None:
    op.create_table(
        "authorization_codes",
        sa.Column("id", BigId, nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("login_session_id", PublicId(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.String(43), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("redeemed_at", UTCDateTime()),
        sa.Column("session_id", PublicId()),
        sa.PrimaryKeyConstraint("id", name="pk_authorization_codes"),
        sa.UniqueConstraint("code_digest", name="uq_authorization_codes_code_digest"),
        *belongs_to(
            "authorization_codes", "client_id", "user_id", "login_session_id", "session_id"
        ),
        sa.CheckConstraint(
            "length(code_digest) = 32", name=op.f("ck_authorization_codes_code_digest_is_sha256")
        ),
    )
    index(
        "authorization_codes",
        "client_id",
        "user_id",
        "login_session_id",
        "session_id",
        "expires_at",
    )


def create_device_codes() -> None:
    op.create_table(
        "device_codes",
        sa.Column("id", BigId, nullable=False),
        sa.Column("device_code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("ip", sa.String(45)),
        sa.Column("user_agent", sa.Text()),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("polled_at", UTCDateTime()),
        sa.Column("user_id", sa.Integer()),
        sa.Column("epoch", sa.Integer()),
        sa.Column("login_session_id", PublicId()),
        sa.Column("approved_at", UTCDateTime()),
        sa.Column("denied_at", UTCDateTime()),
        sa.Column("redeemed_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_device_codes"),
        sa.UniqueConstraint("device_code_digest", name="uq_device_codes_device_code_digest"),
        sa.UniqueConstraint("user_code_digest", name="uq_device_codes_user_code_digest"),
        *belongs_to("device_codes", "client_id", "user_id", "login_session_id"),
        sa.CheckConstraint(
            "length(device_code_digest) = 32",
            name=op.f("ck_device_codes_device_code_digest_is_sha256"),
        ),
    )
    index("device_codes", "client_id", "user_id", "login_session_id", "expires_at")


def belongs_to(table: str, *columns: str) -> list[sa.ForeignKeyConstraint]:
    """Foreign keys of a row that is deleted with any of what these columns name."""
    targets = {"client_id": "oauth_clients", "user_id": "users"}
    return [
        sa.ForeignKeyConstraint(
            [column],
            [f"{(target := targets.get(column, 'sessions'))}.id"],
            name=f"fk_{table}_{column}_{target}",
            ondelete="CASCADE",
        )
        for column in columns
    ]


def index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("sessions", "oauth_client_id")
    op.drop_table("oauth_clients")
