"""Creates the lookup of tokens according to the settings."""

from typing import Any

from counterfoil.lookup import Lookup
from counterfoil.lookup.postgresql import PostgreSQLLookup
from counterfoil.lookup.reigns import Reigns
from counterfoil.lookup.replicated import LookupObserver, ReplicatedLookup
from counterfoil.lookup.sqlite import SQLiteLookup
from database.engine.postgresql import connection_options
from database.settings import DatabaseSettings, parse_url


def open_lookup(
    settings: DatabaseSettings,
    reigns: Reigns | None = None,
    observer: LookupObserver | None = None,
) -> Lookup:
    """Returns the lookup for the database of the settings, not yet connected."""
    if settings.url.get_backend_name() == "sqlite":
        return SQLiteLookup(
            settings.url.database or "", deadline_seconds=settings.database_deadline_seconds
        )
    options = connection_options(settings.url)
    shared: dict[str, Any] = {
        "deadline_seconds": settings.database_deadline_seconds,
        "connections": settings.lookup_connections,
        "prepared_statements": settings.prepared_statements,
    }
    if not settings.has_reigns:
        return PostgreSQLLookup(options, **shared)
    return ReplicatedLookup(
        options,
        [connection_options(parse_url(url)) for url in settings.lookup_database_urls],
        standby_connections=settings.lookup_replica_connections,
        patience_ms=settings.lookup_replica_patience_milliseconds,
        fencing_seconds=settings.fencing_seconds,
        reigns=reigns,
        observer=observer,
        **shared,
    )
