"""Shows how PostgreSQL runs the product's lookup, prepared as the product prepares it."""

from sqlalchemy import literal_column
from sqlalchemy.dialects import postgresql

from authentication import tokens
from benchmarks.filling.bulk import connected
from database.queries import credentials
from database.queries.credentials import CredentialKind

KIND = CredentialKind.ACCESS_TOKEN


def lookup_sql() -> str:
    """The statement of `database.lookup`: `$1` is an array of digests."""
    query = credentials.find_live(KIND, credentials.DIGESTS[KIND] == literal_column("ANY ($1)"))
    compiled = query.compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"render_postcompile": True},
    )
    return str(compiled)


def explain_lookup(url: str, token: str) -> str:
    """The plan and what it read, once the pages it needs are in memory."""
    digest = tokens.digest(token).hex()
    execute = f"EXECUTE lookup ('{{\"\\\\x{digest}\"}}')"
    with connected(url) as connection:
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"PREPARE lookup (bytea[]) AS {lookup_sql()}")
        connection.exec_driver_sql(execute).all()
        rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {execute}")
        return "\n".join(str(row[0]) for row in rows)
