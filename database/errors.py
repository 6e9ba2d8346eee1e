"""What the database layer raises, whatever driver is below it."""

import sqlite3

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from counterfoil.errors import DatabaseUnavailable

# A standby takes no writes, nor does a server that has been made read-only because its disk is
# full: active_sql_transaction when a transaction asks to write, read_only_sql_transaction later.
_READ_ONLY = frozenset({"25001", "25006"})


# PostgreSQL's code for disk_full.
_DISK_FULL = "53100"


class UnsuitableDatabase(Exception):
    """The database can be reached but not be used. The message is one line for an operator."""


class NewerTables(UnsuitableDatabase):
    """The tables are at a migration that this code does not know: newer code has made it."""

    def __init__(self) -> None:
        super().__init__("the tables are newer than this code: run the code that migrated them")


def is_outage(error: DatabaseUnavailable | DBAPIError) -> bool:
    """Whether the database is the reason, and not what was asked of it."""
    if isinstance(error, DatabaseUnavailable):
        return True
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return True
    # The drivers' plain DatabaseError stands for a lost connection or a damaged file.
    return type(error) is DatabaseError or getattr(error.orig, "pgcode", None) in _READ_ONLY


def is_full_disk(error: DBAPIError) -> bool:
    """Whether the database has no room left to write to."""
    if getattr(error.orig, "pgcode", None) == _DISK_FULL:
        return True
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def reason_of(error: BaseException) -> str:
    """The driver's first line, which tells a closed port from a wrong password and quotes none."""
    failure = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
    return str(getattr(failure, "orig", None) or error).partition("\n")[0]
