"""Create users, roles and who has which."""

import sqlalchemy as sa
from alembic import op

from database import clock
from database.base import UTCDateTime

revision = "0001_users"
down_revision = None
branch_labels = None
depends_on = None

ROLES = [
    {"name": "user", "description": "Everyone who registers.", "scopes": ""},
    {"name": "moderator", "description": "For your own routes.", "scopes": "moderate"},
    {
        "name": "admin",
        "description": "Administers users, sessions and keys, and may introspect tokens.",
        "scopes": "admin introspect moderate",
    },
]


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("username", sa.String(64)),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("surname", sa.String(200)),
        sa.Column("website", sa.String(2000)),
        sa.Column("hashed_password", sa.String(255), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), server_default=clock.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index("uq_users_email", "users", [sa.text("lower(email)")], unique=True)
    op.create_index("uq_users_username", "users", [sa.text("lower(username)")], unique=True)
    roles = op.create_table(
        "roles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("scopes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
        sa.UniqueConstraint("name", name="uq_roles_name"),
        sa.CheckConstraint(
            "name <> '' AND name NOT LIKE '%=%' AND name NOT LIKE '%;%' AND name NOT LIKE '%,%'",
            name=op.f("ck_roles_name_without_separators"),
        ),
        sa.CheckConstraint(
            "scopes NOT LIKE '%;%'", name=op.f("ck_roles_scopes_without_separators")
        ),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_roles_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name="fk_user_roles_role_id_roles", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name="pk_user_roles"),
    )
    op.create_index("ix_user_roles_role_id", "user_roles", ["role_id"])
    op.bulk_insert(roles, ROLES)


def downgrade() -> None:
    op.drop_table("user_roles")
    op.drop_table("roles")
    op.drop_table("users")
