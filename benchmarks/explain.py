"""Shows PostgreSQL's plan of the product's lookup, prepared as the product prepares it."""

from benchmarks.filling.bulk import connected
from counterfoil import tokens
from counterfoil.identity import CredentialKind
from counterfoil.lookup import statements
from counterfoil.lookup.connection import PLANNING


def explain_lookup(url: str, token: str) -> str:
    """The plan with the buffers it read, when its pages are in memory."""
    digest = tokens.digest(token).hex()
    execute = f"EXECUTE lookup ('{{\"\\\\x{digest}\"}}')"
    with connected(url) as connection:
        for setting in PLANNING:
            connection.exec_driver_sql(setting)
        query = statements.postgresql(CredentialKind.ACCESS_TOKEN)
        connection.exec_driver_sql(f"PREPARE lookup (bytea[]) AS {query}")
        connection.exec_driver_sql(execute).all()
        rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {execute}")
        return "\n".join(str(row[0]) for row in rows)
