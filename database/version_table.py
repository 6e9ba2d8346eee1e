"""The table in which migrations note how far they are: one of our own, beside an application's.

It was `alembic_version`, which is Alembic's default and so that of most applications.
"""

from sqlalchemy import Connection, bindparam, inspect, text

from database.errors import UnsuitableDatabase
from database.models import User

NAME = "counterfoil_alembic_version"
_FORMER_NAME = "alembic_version"
# Only our `users` has this column, which has been there since the first migration.
_OWN_COLUMN = "session_epoch"
_VIEWS = frozenset({"live_sessions", "live_access_tokens", "live_api_keys", "live_credentials"})


def read(connection: Connection) -> set[str]:
    """The migrations that the table names. Empty if there is no such table."""
    if not inspect(connection).has_table(NAME):
        return set()
    return set(connection.scalars(text(f"SELECT version_num FROM {NAME}")))  # noqa: S608


def prepare(connection: Connection, known: set[str]) -> None:
    """To be called before migrating, under the lock. `known` are the names of our migrations.

    Takes our row over from the table of the former name, which is dropped if no other is in it.
    Raises UnsuitableDatabase if tables of the application have the names of ours.
    """
    if read(connection):
        return
    if found := _former(connection, known):
        _take_over(connection, found)
    elif clashing := sorted(_names(connection) & (set(User.metadata.tables) | _VIEWS)):
        raise UnsuitableDatabase(
            f"there is a table {clashing[0]} that is not Counterfoil's: {_advice(connection)}"
        )


def _former(connection: Connection, known: set[str]) -> set[str]:
    """Our rows in the table of the former name. An application may name migrations as we do."""
    inspector = inspect(connection)
    if not (inspector.has_table(_FORMER_NAME) and inspector.has_table("users")):
        return set()
    if _OWN_COLUMN not in {column["name"] for column in inspector.get_columns("users")}:
        return set()
    rows = connection.scalars(text(f"SELECT version_num FROM {_FORMER_NAME}"))  # noqa: S608
    return known.intersection(rows)


def _take_over(connection: Connection, found: set[str]) -> None:
    # As Alembic makes it.
    connection.execute(
        text(
            f"CREATE TABLE {NAME} (version_num VARCHAR(32) NOT NULL,"
            f" CONSTRAINT {NAME}_pkc PRIMARY KEY (version_num))"
        )
    )
    for revision in found:
        row = {"revision": revision}
        connection.execute(text(f"INSERT INTO {NAME} VALUES (:revision)"), row)  # noqa: S608
    delete = text(f"DELETE FROM {_FORMER_NAME} WHERE version_num IN :found")  # noqa: S608
    connection.execute(delete.bindparams(bindparam("found", list(found), expanding=True)))
    if not connection.scalar(text(f"SELECT count(*) FROM {_FORMER_NAME}")):  # noqa: S608
        connection.execute(text(f"DROP TABLE {_FORMER_NAME}"))


def _names(connection: Connection) -> set[str]:
    """The tables and views of the schema in use."""
    inspector = inspect(connection)
    schema = None
    if connection.dialect.name == "postgresql":
        schema = connection.scalar(text("SELECT current_schema()"))
    return {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}


def _advice(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return "name another file in COUNTERFOIL_DATABASE_URL"
    return (
        "CREATE SCHEMA counterfoil, and append ?options=-csearch_path%3Dcounterfoil to the URL in "
        "COUNTERFOIL_DATABASE_URL"
    )
