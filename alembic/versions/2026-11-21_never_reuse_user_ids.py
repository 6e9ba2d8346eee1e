"""Never give the id of a deleted user again, on SQLite either.

Left to itself SQLite counts on from the largest id that is there. The next user would then answer
to the deleted one's name in the audit log, and inherit rows left behind by a shell that does not
keep foreign keys. PostgreSQL's sequence never goes back.
"""

from alembic import op
from sqlalchemy import text

revision = "0004_never_reuse_user_ids"
down_revision = "0003_api_keys_and_audit_events"
branch_labels = None
depends_on = None

# Views cannot stand while a table they read is remade; indexes on expressions are not carried over.
_IN_THE_WAY = """
SELECT type, name, sql FROM sqlite_master
WHERE type = 'view' OR type = 'index' AND tbl_name = 'users' AND sql IS NOT NULL
"""


def upgrade() -> None:
    remake_users(autoincrement=True)


def downgrade() -> None:
    remake_users(autoincrement=False)


def remake_users(*, autoincrement: bool) -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    in_the_way = connection.execute(text(_IN_THE_WAY)).all()
    for kind, name, _ in in_the_way:
        op.execute(f'DROP {kind} "{name}"')
    options = {"sqlite_autoincrement": autoincrement}
    with op.batch_alter_table("users", recreate="always", table_kwargs=options):
        pass
    for _, _, definition in in_the_way:
        connection.exec_driver_sql(definition)
