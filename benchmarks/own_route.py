"""The product with a route as its readers write it: FastAPI's own, with one dependency of ours."""

from api import app
from api.dependencies import CurrentIdentity
from api.routers.users import from_identity
from schemas.users import UserRead


@app.get("/account")
async def read_account(identity: CurrentIdentity) -> UserRead:
    return from_identity(identity)
