"""The product with a route like a user's own: an ordinary FastAPI route with CurrentIdentity."""

from api import app
from api.dependencies import CurrentIdentity
from schemas.users import UserRead


@app.get("/mine")
async def read_mine(identity: CurrentIdentity) -> UserRead:
    return UserRead.model_validate(identity)


__all__ = ["app"]
