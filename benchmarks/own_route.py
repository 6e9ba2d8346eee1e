"""The product with a route as its readers write it: FastAPI's own, with one dependency of ours."""

from datetime import UTC, datetime

from api import app
from api.dependencies import CurrentIdentity
from schemas.users import UserRead


@app.get("/account")
async def read_account(identity: CurrentIdentity) -> UserRead:
    return UserRead(
        id=identity.user_id,
        email=identity.email,
        username=identity.username,
        name=identity.name,
        surname=identity.surname,
        website=identity.website,
        roles=list(identity.roles),
        created_at=datetime.fromtimestamp(identity.user_created_at, UTC),
        updated_at=datetime.fromtimestamp(identity.user_updated_at, UTC),
    )
