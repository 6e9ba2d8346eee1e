"""Reject usernames of digits alone, which commands would take for the id of another user.

A username that is there already becomes "u" and its digits, or NULL if that is the name of another
user, or too long. Its user can still log in by e-mail address.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy import text

from database import clock

revision = "0015_usernames_of_digits"
down_revision = "0013_database_roles"
branch_labels = None
depends_on = None

NAME = "ck_users_username_is_no_number"
CONDITION = "trim(ltrim(username, ' +-'), ' 0123456789') <> ''"
_NEW_NAME = "'u' || replace(ltrim(username, ' +-'), ' ', '')"

RENAME = f"""
UPDATE users SET username = {_NEW_NAME}, updated_at = {{now}}
WHERE NOT ({CONDITION}) AND length({_NEW_NAME}) BETWEEN 2 AND 64
  AND lower({_NEW_NAME}) NOT IN (
    SELECT lower(username) FROM users WHERE username IS NOT NULL
  )
  AND id IN (SELECT min(id) FROM users WHERE NOT ({CONDITION}) GROUP BY {_NEW_NAME})
"""  # noqa: S608
REMOVE = f"UPDATE users SET username = NULL, updated_at = {{now}} WHERE NOT ({CONDITION})"  # noqa: S608

# Views cannot stand while a table they read is remade; indexes on expressions are not carried over.
_IN_THE_WAY = """
SELECT type, name, sql FROM sqlite_master
WHERE type = 'view' OR type = 'index' AND tbl_name = 'users' AND sql IS NOT NULL
"""
_LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'users'"


def upgrade() -> None:
    if not is_sqlite():
        # So that no such name is added in between. It keeps writers waiting, and no reader.
        op.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    now = clock.SQLITE_NOW if is_sqlite() else "now()"
    op.execute(RENAME.format(now=now))
    op.execute(REMOVE.format(now=now))
    if is_sqlite():
        with remade_users() as users:
            users.create_check_constraint(op.f(NAME), text(CONDITION))
    else:
        op.create_check_constraint(op.f(NAME), "users", CONDITION)


def downgrade() -> None:
    if is_sqlite():
        with remade_users() as users:
            users.drop_constraint(op.f(NAME), type_="check")
    else:
        op.drop_constraint(op.f(NAME), "users", type_="check")


def is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


@contextmanager
def remade_users() -> Iterator[BatchOperations]:
    connection = op.get_bind()
    in_the_way = connection.execute(text(_IN_THE_WAY)).all()
    last_id = connection.scalar(text(_LAST_ID))
    for kind, name, _ in in_the_way:
        op.execute(f'DROP {kind} "{name}"')
    options = {"sqlite_autoincrement": True}
    with op.batch_alter_table("users", recreate="always", table_kwargs=options) as users:
        yield users
    for _, _, definition in in_the_way:
        connection.exec_driver_sql(definition)
    if last_id is not None:
        # The new table counts on from the largest id that is there, and that may be a smaller one.
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'users'"))
        sequence = text("INSERT INTO sqlite_sequence (name, seq) VALUES ('users', :seq)")
        connection.execute(sequence, {"seq": last_id})
