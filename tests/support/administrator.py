"""Runs SQL on a connection of its own, as an administrator does with psql or sqlite3."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from threading import get_ident
from typing import Any

import psycopg2
from passlib.hash import bcrypt

from database import grants
from tests.support import service_connections
from tests.support.client import PASSWORD

Sql = Callable[..., list[tuple[Any, ...]]]


def run_sql(url: str, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    """Run one statement on a new connection. Returns the rows, if any."""
    with closing(_connect(url)) as connection:
        return _execute(connection, statement, parameters)


class KeptConnections:
    """Runs statements on connections that are kept, each in a transaction of its own.

    A new connection takes longer than most statements. Each thread has one, as what one thread runs
    may wait for another. One that the server has closed is replaced.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._by_thread: dict[int, Any] = {}

    def __call__(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Run one statement. Returns the rows, if any."""
        connection = self._by_thread.get(get_ident()) or self._connect()
        try:
            return _execute(connection, statement, parameters)
        except psycopg2.Error:
            if not connection.closed:
                raise
        return _execute(self._connect(), statement, parameters)

    def close(self) -> None:
        for connection in self._by_thread.values():
            connection.close()

    def reset(self) -> None:
        """Keep nothing but the connection of this thread, as it was at first. For PostgreSQL."""
        own = self._by_thread.pop(get_ident(), None)
        self.close()
        self._by_thread = {} if own is None else {get_ident(): own}
        self("RESET ALL")

    def _connect(self) -> Any:
        connection = self._by_thread[get_ident()] = _connect(self._url)
        return connection


def _connect(url: str) -> Any:
    if not url.startswith("sqlite"):
        server = psycopg2.connect(url)
        server.autocommit = True
        return server
    path = url.removeprefix("sqlite:///")
    # SQLite has no queue for writers: beside many others, one may wait long.
    # Another thread than the one that runs statements may close the connection.
    file = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    file.execute("PRAGMA foreign_keys = ON")
    return file


def _execute(connection: Any, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        # Given parameters, even none, psycopg2 takes each % for the place of one.
        cursor.execute(statement, *([parameters] if parameters else []))
        if "ALTER DATABASE" in statement or "ALTER ROLE" in statement:
            service_connections.renew()
        return cursor.fetchall() if cursor.description else []


def grant(url: str, role: str) -> None:
    """Let a role of PostgreSQL serve from the tables that there are."""
    run_sql(url, "; ".join(grants.statements(role)))


def insert_user(sql: Sql, email: str, password: str = PASSWORD) -> int:
    """Insert a user by SQL, with a plain bcrypt hash. Returns the id."""
    columns = "email, name, hashed_password"
    sql(f"INSERT INTO users ({columns}) VALUES ('{email}', 'By hand', '{_hash(password)}')")
    return user_id(sql, email)


@cache
def _hash(password: str) -> str:
    return str(bcrypt.using(rounds=4).hash(password))


def user_id(sql: Sql, email: str = "ada@example.org") -> int:
    """The id of the user with this address."""
    return int(sql(f"SELECT id FROM users WHERE email = '{email}'")[0][0])


def give_role(sql: Sql, role: str, email: str = "ada@example.org") -> None:
    """Add a role to a user."""
    sql(
        "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
        f" WHERE u.email = '{email}' AND r.name = '{role}'"
    )


def take_role(sql: Sql, role: str, email: str = "ada@example.org") -> None:
    """Remove a role from a user."""
    sql(
        f"DELETE FROM user_roles WHERE user_id = {user_id(sql, email)}"
        f" AND role_id = (SELECT id FROM roles WHERE name = '{role}')"
    )


def count(sql: Sql, table: str) -> int:
    """The number of rows of a table."""
    return int(sql(f"SELECT count(*) FROM {table}")[0][0])


def events(sql: Sql) -> list[str]:
    """The names of all audit events, oldest first."""
    return [name for (name,) in sql("SELECT event FROM audit_events ORDER BY id")]


def run_in_bare_sqlite(url: str, statement: str) -> None:
    """Run a statement without foreign keys, which is the default of the sqlite3 shell."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
        file.execute(statement)
