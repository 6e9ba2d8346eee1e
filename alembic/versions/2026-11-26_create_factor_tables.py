"""Create the tables of second factors, and the columns by which sessions and roles know of them.

The new columns are NULL or have a constant default, so no row is written anew. A user gets a
`webauthn_handle` with the first passkey.
"""

import sqlalchemy as sa
from alembic import op

from database import clock
from database.base import BigId, PublicId, UTCDateTime

revision = "0020_factor_tables"
down_revision = "0019_mail"
branch_labels = None
depends_on = None

HAS_HANDLE = sa.text("webauthn_handle IS NOT NULL")
TABLES = ("challenges", "recovery_codes", "passkeys", "totp_factors")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("second_factor_at", UTCDateTime()))
    op.add_column("sessions", sa.Column("amr", sa.String(64)))
    op.add_column(
        "roles",
        sa.Column(
            "requires_second_factor", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
    )
    create_totp_factors()
    create_passkeys()
    create_recovery_codes()
    create_challenges()
    op.add_column("users", sa.Column("webauthn_handle", sa.LargeBinary()))
    op.create_index(
        "uq_users_webauthn_handle",
        "users",
        ["webauthn_handle"],
        unique=True,
        postgresql_where=HAS_HANDLE,
        sqlite_where=HAS_HANDLE,
    )


def create_totp_factors() -> None:
    op.create_table(
        "totp_factors",
        sa.Column("id", PublicId(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("confirmed_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_totp_factors"),
        of_user("totp_factors"),
    )
    op.create_index("ix_totp_factors_user_id", "totp_factors", ["user_id"])


def create_passkeys() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", PublicId(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("transports", sa.String(200)),
        sa.Column("aaguid", PublicId()),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("last_used_at", UTCDateTime()),
        sa.Column("clone_suspected_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
        of_user("passkeys"),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])


def create_recovery_codes() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("used_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_codes"),
        sa.UniqueConstraint("code_digest", name="uq_recovery_codes_code_digest"),
        of_user("recovery_codes"),
        sa.CheckConstraint(
            "length(code_digest) = 32", name=op.f("ck_recovery_codes_code_digest_is_sha256")
        ),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])


def create_challenges() -> None:
    op.create_table(
        "challenges",
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user_id", sa.Integer()),
        sa.Column("session_id", PublicId()),
        sa.Column("epoch", sa.Integer()),
        sa.Column("data", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token_digest", name="pk_challenges"),
        of_user("challenges"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="fk_challenges_session_id_sessions",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "length(token_digest) = 32", name=op.f("ck_challenges_token_digest_is_sha256")
        ),
    )
    for column in ("user_id", "session_id", "expires_at"):
        op.create_index(f"ix_challenges_{column}", "challenges", [column])


def of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], ["users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE"
    )


def downgrade() -> None:
    op.drop_index("uq_users_webauthn_handle", "users")
    op.drop_column("users", "webauthn_handle")
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("roles", "requires_second_factor")
    op.drop_column("sessions", "amr")
    op.drop_column("sessions", "second_factor_at")
