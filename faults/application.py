"""An application in another process than the service, which checks tokens in either mode."""

from os import environ

from fastapi import FastAPI

from counterfoil.fastapi import Counterfoil, CurrentIdentity

app = FastAPI()
Counterfoil(
    app,
    url=environ.get("APPLICATION_AUTH_URL"),
    api_key=environ.get("APPLICATION_API_KEY"),
    database_url=environ.get("APPLICATION_DATABASE_URL"),
    deadline_seconds=float(environ["APPLICATION_DEADLINE_SECONDS"]),
)


@app.get("/live")
async def live() -> str:
    return "live"


@app.get("/users/me")
async def read_me(identity: CurrentIdentity) -> int:
    """Where a caller of the faults looks whether a token is accepted."""
    return identity.user_id
