"""Fills django-rest-knox's table with users and tokens."""

import secrets

from benchmarks.filling.bulk import SAMPLE, fill, parameters_of

# Knox finds a token by its first characters and compares the SHA-512 of the whole.
TOKEN_KEY_LENGTH = 15

USERS = """
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email,
                       is_staff, is_active, date_joined)
SELECT i, '!', false, 'user' || i, 'User ' || i, '', 'user' || i || '@example.org',
       false, true, now()
FROM generate_series(1, :users) AS i
"""
PLAN = """
CREATE TEMPORARY TABLE plan AS
SELECT i AS row, (i - 1) % :users + 1 AS user_id,
       coalesce(token, encode(sha256((:seed || i)::bytea), 'hex')) AS token
FROM generate_series(1, :rows) AS i LEFT JOIN sample ON sample.row = i
"""
TOKENS = """
INSERT INTO knox_authtoken (digest, token_key, user_id, created, expiry)
SELECT encode(sha512(token::bytea), 'hex'), left(token, :key_length), user_id,
       now(), now() + interval '29 days'
FROM plan ORDER BY row
"""


def fill_knox(url: str, rows: int, users: int, sample_size: int) -> list[str]:
    """Returns raw tokens whose rows are spread evenly over the table."""
    sample = [secrets.token_hex(32) for _ in range(min(sample_size, rows))]
    parameters = parameters_of(rows, users, sample) | {"key_length": TOKEN_KEY_LENGTH}
    fill(url, [SAMPLE, USERS, PLAN, TOKENS], parameters)
    return sample
