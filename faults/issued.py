"""Makes many live tokens at once by SQL, each of a session of its own."""

from contextlib import closing

import psycopg2
from psycopg2.extras import execute_values

from counterfoil import tokens
from counterfoil.tokens import TokenKind

_SESSIONS = """
INSERT INTO sessions (id, user_id, epoch, expires_at)
SELECT gen_random_uuid(), id, session_epoch, now() + interval '1 day'
FROM users, generate_series(1, %s) WHERE email = %s
RETURNING id, user_id
"""
_TOKENS = """
INSERT INTO access_tokens (session_id, user_id, token_digest, expires_at)
SELECT CAST(id AS uuid), user_id, digest, now() + interval '1 day'
FROM (VALUES %s) AS given (id, user_id, digest)
"""


def issue(url: str, email: str, count: int) -> list[str]:
    """The access tokens of so many new sessions of a user."""
    issued = [tokens.create(TokenKind.ACCESS).text for _ in range(count)]
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_SESSIONS, (count, email))
        rows = zip(cursor.fetchall(), issued, strict=True)
        execute_values(
            cursor,
            _TOKENS,
            [(str(id_), user_id, tokens.digest(token)) for (id_, user_id), token in rows],
        )
    return issued
