"""Prints a number of signed tokens for the JWT peer, one per line."""

import os
import sys
import time

import jwt

THIRTY_DAYS = 30 * 86_400


def make_token(user_id: int) -> str:
    now = int(time.time())
    claims = {"sub": str(user_id), "iat": now, "exp": now + THIRTY_DAYS, "scope": "profile"}
    return str(jwt.encode(claims, os.environ["PEER_JWT_SECRET"], algorithm="HS256"))


if __name__ == "__main__":
    for user_id in range(1, int(sys.argv[1]) + 1):
        print(make_token(user_id))
