"""Creates the lookup of tokens according to the settings."""

from counterfoil.lookup import Lookup
from counterfoil.lookup.postgresql import PostgreSQLLookup
from counterfoil.lookup.sqlite import SQLiteLookup
from database.engine.postgresql import connection_options
from database.settings import DatabaseSettings


def open_lookup(settings: DatabaseSettings) -> Lookup:
    """Returns the lookup for the database of the settings, not yet connected."""
    if settings.url.get_backend_name() == "sqlite":
        return SQLiteLookup(
            settings.url.database or "", deadline_seconds=settings.database_deadline_seconds
        )
    return PostgreSQLLookup(
        connection_options(settings.url),
        deadline_seconds=settings.database_deadline_seconds,
        connections=settings.lookup_connections,
        prepared_statements=settings.prepared_statements,
    )
