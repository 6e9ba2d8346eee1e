"""Fills the product's tables with users, sessions and access tokens."""

from benchmarks.filling.bulk import SAMPLE, fill, parameters_of
from counterfoil.tokens import TokenKind, create

USERS = """
INSERT INTO users (id, email, name, hashed_password)
SELECT i, 'user' || i || '@example.org', 'User ' || i, :hashed_password
FROM generate_series(1, :users) AS i
"""
USER_ROLES = """
INSERT INTO user_roles (user_id, role_id)
SELECT i, roles.id FROM generate_series(1, :users) AS i, roles WHERE roles.name = 'user'
"""
PLAN = """
CREATE TEMPORARY TABLE plan AS
SELECT i AS row, (i - 1) % :users + 1 AS user_id, CAST(
  -- Version 7, as the service makes them, one for each millisecond.
  lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint - :rows + i), 12, '0')
    || '7' || substr(digest, 1, 3) || 'a' || substr(digest, 4, 15) AS uuid
) AS session_id
FROM generate_series(1, :rows) AS i, md5(:seed || i) AS digest
"""
SESSIONS = """
INSERT INTO sessions (id, user_id, epoch, client_id, ip, user_agent, expires_at)
SELECT session_id, user_id, 0, 'benchmark', '127.0.0.1', 'benchmark', now() + interval '30 days'
FROM plan ORDER BY row
"""
ACCESS_TOKENS = """
INSERT INTO access_tokens (session_id, user_id, token_digest, expires_at)
SELECT session_id, user_id, sha256(coalesce(token, :seed || row)::bytea), now() + interval '29 days'
FROM plan LEFT JOIN sample USING (row) ORDER BY row
"""
SEQUENCES = """
SELECT setval(pg_get_serial_sequence('users', 'id'), :users)
"""
STATEMENTS = [SAMPLE, USERS, USER_ROLES, PLAN, SESSIONS, ACCESS_TOKENS, SEQUENCES]


def fill_product(
    url: str, rows: int, users: int, sample_size: int, hashed_password: str = "!"
) -> list[str]:
    """Insert `rows` access tokens in as many sessions of `users` users.

    Returns `sample_size` raw tokens whose rows are spread evenly over the table.
    """
    sample = [create(TokenKind.ACCESS).text for _ in range(min(sample_size, rows))]
    parameters = parameters_of(rows, users, sample) | {"hashed_password": hashed_password}
    fill(url, STATEMENTS, parameters)
    return sample
