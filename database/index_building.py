"""Builds indexes on tables that are in use, for migrations."""

from sqlalchemy import Connection, text

from database.engine import engines


def build(connection: Connection, name: str, on: str) -> None:
    """Create an index, such as `sessions (user_id) WHERE is_active`, while others write the table.

    To be called by a migration that does nothing else: on PostgreSQL the index is built by another
    connection, which would wait for what this one has locked.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"CREATE INDEX {name} ON {on}"))
        return
    schema = connection.scalar(text("SELECT current_schema()"))
    engine = engines.create_single(connection.engine.url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beside:
        beside.execute(text("SELECT set_config('search_path', :schema, false)"), {"schema": schema})
        if beside.scalar(text("SELECT to_regclass(:table)"), {"table": on.split()[0]}) is None:
            # The database is new, and nobody else can see the table yet.
            connection.execute(text(f"CREATE INDEX {name} ON {on}"))
            return
        beside.execute(text("SET lock_timeout = 0"))
        beside.execute(text("SET statement_timeout = 0"))
        # One that was interrupted is still there, but invalid.
        beside.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        beside.execute(text(f"CREATE INDEX CONCURRENTLY {name} ON {on}"))
