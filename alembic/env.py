"""Runs migrations on the connection that database/migrations.py has prepared and locked.

From the command line (`alembic revision --autogenerate`, on PostgreSQL) it uses DATABASE_URL.
"""

from alembic import context
from sqlalchemy import Connection

from database import migrations, models, version_table
from database.settings import DatabaseSettings

# Of all tables: importing the models has made them known.
metadata = models.User.metadata


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
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    with migrations.connection(DatabaseSettings().database_url) as opened:
        run(opened)
