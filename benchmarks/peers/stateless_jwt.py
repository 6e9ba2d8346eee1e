"""Stateless JWTs (PyJWT, HS256): one dependency, no database, and therefore no revocation."""

import os
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Response

from benchmarks.peers.account import Account, account_of
from benchmarks.peers.gc_settings import tuned_lifespan

SECRET = os.environ["PEER_JWT_SECRET"]
REQUIRED: Any = {"require": ["exp", "sub"]}
UNAUTHORIZED = HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

app = FastAPI(lifespan=tuned_lifespan)


async def get_user_id(authorization: Annotated[str, Header()] = "") -> int:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise UNAUTHORIZED
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options=REQUIRED)
    except jwt.InvalidTokenError:
        raise UNAUTHORIZED from None
    return int(claims["sub"])


UserId = Annotated[int, Depends(get_user_id)]


@app.get("/users/me")
async def read_me(user_id: UserId) -> Account:
    return account_of(user_id)


@app.get("/users/me/ready", response_model=Account)
async def read_me_ready(user_id: UserId) -> Response:
    """Serialised without FastAPI's machinery, as the product does on this route."""
    return Response(account_of(user_id).model_dump_json(), media_type="application/json")
