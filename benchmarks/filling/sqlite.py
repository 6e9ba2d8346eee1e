"""Fills the product's tables in a file of SQLite with users, sessions and access tokens."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import make_url

from counterfoil.tokens import TokenKind, create

USERS = """
INSERT INTO users (id, email, name, hashed_password, is_active, created_at, session_epoch)
VALUES (:id, 'user' || :id || '@example.org', 'User ' || :id, '!', 1, :now, 0)
"""
USER_ROLES = """
INSERT INTO user_roles (user_id, role_id)
SELECT users.id, roles.id FROM users, roles WHERE roles.name = 'user'
"""
SESSIONS = """
INSERT INTO sessions (id, user_id, epoch, kind, client_id, ip, user_agent, created_at, expires_at)
VALUES (:session_id, :user_id, 0, 'api', 'benchmark', '127.0.0.1', 'benchmark', :now, :later)
"""
ACCESS_TOKENS = """
INSERT INTO access_tokens (session_id, user_id, token_digest, created_at, expires_at)
VALUES (:session_id, :user_id, :digest, :now, :later)
"""


def fill_sqlite(url: str, rows: int, users: int, sample_size: int) -> list[str]:
    """Insert `rows` access tokens in as many sessions of `users` users.

    Returns `sample_size` raw tokens whose rows are spread evenly over the table.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    moments = {"now": str(now), "later": str(now + timedelta(days=29))}
    tokens = [create(TokenKind.ACCESS) for _ in range(rows)]
    plan = [
        {"session_id": str(uuid4()), "user_id": i % users + 1, "digest": token.digest, **moments}
        for i, token in enumerate(tokens)
    ]
    with closing(sqlite3.connect(make_url(url).database or "")) as connection, connection:
        connection.executemany(USERS, ({"id": i, **moments} for i in range(1, users + 1)))
        connection.execute(USER_ROLES)
        connection.executemany(SESSIONS, plan)
        connection.executemany(ACCESS_TOKENS, plan)
        connection.execute("ANALYZE")
    return [token.text for token in tokens[:: max(rows // sample_size, 1)][:sample_size]]
