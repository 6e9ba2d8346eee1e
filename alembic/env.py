"""Runs migrations on the connection that database/migrations.py has prepared and locked.

From the command line (`alembic revision --autogenerate`, on PostgreSQL) it uses DATABASE_URL.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from database import migrations, models, version_table
from database.settings import DatabaseSettings

# Of all tables: importing the models has made them known.
metadata = models.User.metadata


def can_be_compared(item: Any, _name: str | None, kind: str, *_others: Any) -> bool:
    """SQLAlchemy reads neither name nor rule of a key that SQLite was given with its column."""
    return kind != "foreign_key_constraint" or item.column_keys != ["oauth_client_id"]


def run(connection: Connection) -> None:
    """Run on one connection; whoever opened it commits."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=version_table.NAME,
        # SQLite can alter little in place; alembic then copies the table.
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=False,
        include_object=None if connection.dialect.name == "postgresql" else can_be_compared,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    with migrations.connection(DatabaseSettings().database_url) as opened:
        run(opened)
