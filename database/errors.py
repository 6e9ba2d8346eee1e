"""What the database layer raises, whatever driver is below it."""

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

# A server that has become, or has not yet ceased to be, a standby takes no writes: it says so by
# read_only_sql_transaction, or when a transaction asks to write, by feature_not_supported.
_STANDBY = frozenset({"25006", "0A000"})


class DatabaseUnavailable(Exception):
    """The database is down, too slow or too busy to answer within the deadline.

    A write that raises this may have been committed: the answer to COMMIT can be lost on its way.
    """


def is_outage(error: DBAPIError) -> bool:
    """Whether the database is the reason, and not what was asked of it."""
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return True
    # The drivers' plain DatabaseError stands for a lost connection or a damaged file.
    return type(error) is DatabaseError or getattr(error.orig, "pgcode", None) in _STANDBY
