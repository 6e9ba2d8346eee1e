"""The ceiling of all measurements: the route `GET /users/me` without authentication."""

from fastapi import FastAPI

from benchmarks.peers.account import Account, account_of
from benchmarks.peers.gc_settings import tuned_lifespan

app = FastAPI(lifespan=tuned_lifespan)


@app.get("/users/me")
async def read_me() -> Account:
    return account_of(1)
