"""Shows how PostgreSQL runs the product's lookup, prepared as the product prepares it."""

from authentication.resolution import tokens
from benchmarks.filling.bulk import connected
from database.lookup.connection import PLANNING, statement
from database.queries.credentials import CredentialKind


def explain_lookup(url: str, token: str) -> str:
    """The plan and what it read, once the pages it needs are in memory."""
    digest = tokens.digest(token).hex()
    execute = f"EXECUTE lookup ('{{\"\\\\x{digest}\"}}')"
    with connected(url) as connection:
        for setting in PLANNING:
            connection.exec_driver_sql(setting)
        query = statement(CredentialKind.ACCESS_TOKEN)
        connection.exec_driver_sql(f"PREPARE lookup (bytea[]) AS {query}")
        connection.exec_driver_sql(execute).all()
        rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {execute}")
        return "\n".join(str(row[0]) for row in rows)
