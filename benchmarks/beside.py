"""An application in another process than the product, with a protected route, in either mode."""

import os

from fastapi import FastAPI

from benchmarks.peers.gc_settings import tuned_lifespan
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from schemas.users import UserRead

app = FastAPI(lifespan=tuned_lifespan)
Counterfoil(
    app,
    url=os.environ.get("BESIDE_URL"),
    api_key=os.environ.get("BESIDE_API_KEY"),
    database_url=os.environ.get("BESIDE_DATABASE_URL"),
)


@app.get("/account")
async def read_account(identity: CurrentIdentity) -> UserRead:
    return UserRead.model_validate(identity)
