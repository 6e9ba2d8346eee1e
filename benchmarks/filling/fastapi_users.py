"""Fills fastapi-users' tables with users and tokens, which it stores in the clear."""

import secrets

from benchmarks.filling.bulk import SAMPLE, fill, parameters_of

USERS = """
INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified)
SELECT i, 'user' || i || '@example.org', '!', true, false, true
FROM generate_series(1, :users) AS i
"""
TOKENS = """
INSERT INTO accesstoken (token, user_id, created_at)
SELECT coalesce(token, left(encode(sha256((:seed || i)::bytea), 'hex'), 43)),
       (i - 1) % :users + 1, now()
FROM generate_series(1, :rows) AS i LEFT JOIN sample ON sample.row = i ORDER BY i
"""


def fill_fastapi_users(url: str, rows: int, users: int, sample_size: int) -> list[str]:
    """Returns raw tokens whose rows are spread evenly over the table."""
    sample = [secrets.token_urlsafe(32) for _ in range(min(sample_size, rows))]
    parameters = parameters_of(rows, users, sample)
    fill(url, [SAMPLE, USERS, TOKENS], parameters)
    return sample
