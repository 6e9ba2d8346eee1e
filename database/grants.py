"""Grants a PostgreSQL role what the service needs to run, but no change of the audit log.

Migrations run as the owner of the tables. The service can run as a role that changes rows and not
tables, that cannot change what a role of users may do, and that can only append to the audit log.
"""

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import Connection, text

from database import version_table
from database.base import Base
from database.models import AuditEvent, Role

_VIEWS = ("live_sessions", "live_access_tokens", "live_api_keys", "live_credentials")
_READ_ONLY = (version_table.NAME, *_VIEWS)
_FUNCTIONS = ("counterfoil_resolve(text)", "counterfoil_resolve_digests(bytea[])")


def grant(connection: Connection, role: str, *, manage_roles: bool = False) -> None:
    """Give the role what it needs on the objects that exist now, and take everything else on them.

    With `manage_roles` it may also create, change and delete the roles of users. Has to be called
    by their owner, and again after each migration.
    """
    _execute(connection, role, partial(statements, manage_roles=manage_roles))


def grant_to_resolve(connection: Connection, role: str) -> None:
    """Let the role judge tokens, and nothing else. Has to be called by the owner, once."""
    _execute(connection, role, resolver_statements)


def _execute(
    connection: Connection, role: str, statements: Callable[[str, str], Iterator[str]]
) -> None:
    preparer = connection.dialect.identifier_preparer
    schema = connection.scalar(text("SELECT current_schema()")) or "public"
    for statement in statements(preparer.quote(role), preparer.quote(schema)):
        connection.execute(text(statement))


def statements(role: str, schema: str = "public", *, manage_roles: bool = False) -> Iterator[str]:
    """The statements, for a role and a schema whose names are quoted where they need it."""
    special = (AuditEvent.__tablename__, Role.__tablename__)
    tables = [table.name for table in Base.metadata.sorted_tables]
    own = ", ".join(table for table in tables if table not in special)
    numbered = [
        f"{table.name}_id_seq"
        for table in Base.metadata.sorted_tables
        if table.autoincrement_column is not None and table.name != Role.__tablename__
    ]
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    yield f"REVOKE ALL ON {', '.join([*tables, *_READ_ONLY])} FROM {role}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {own} TO {role}"
    yield f"GRANT USAGE ON SEQUENCE {', '.join(numbered)} TO {role}"
    yield f"GRANT SELECT ON {', '.join([*_READ_ONLY, *special])} TO {role}"
    # To lock a row takes the right to update a column of it; this one gives nobody anything.
    yield f"GRANT UPDATE (description) ON roles TO {role}"
    yield f"GRANT INSERT (event, actor, subject, ip, detail) ON audit_events TO {role}"
    yield f"GRANT EXECUTE ON FUNCTION prune_audit_events(timestamptz, integer) TO {role}"
    if manage_roles:
        yield f"GRANT INSERT, UPDATE, DELETE ON roles TO {role}"
        yield f"GRANT USAGE ON SEQUENCE roles_id_seq TO {role}"


def resolver_statements(role: str, schema: str = "public") -> Iterator[str]:
    """Those for a role that judges tokens by SQL: docs/how-to/resolve-by-sql.md."""
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    yield f"GRANT EXECUTE ON FUNCTION {', '.join(_FUNCTIONS)} TO {role}"
