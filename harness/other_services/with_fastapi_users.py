"""fastapi-users with its DatabaseStrategy, as its documentation sets it up.

`python with_fastapi_users.py FILE EMAIL PASSWORD` creates the tables in an SQLite file, and a user
who logs in. Prints the token that the user gets, as JSON.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

FILE, EMAIL, PASSWORD = sys.argv[1:]


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


engine = create_async_engine(f"sqlite+aiosqlite:///{FILE}")
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


CurrentSession = Annotated[AsyncSession, Depends(get_session)]


async def get_users(session: CurrentSession) -> AsyncIterator[Any]:
    yield SQLAlchemyUserDatabase(session, User)


async def get_tokens(session: CurrentSession) -> AsyncIterator[Any]:
    yield SQLAlchemyAccessTokenDatabase(session, AccessToken)


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    pass


async def get_user_manager(users: Annotated[Any, Depends(get_users)]) -> AsyncIterator[UserManager]:
    yield UserManager(users)


def get_strategy(tokens: Annotated[Any, Depends(get_tokens)]) -> DatabaseStrategy[Any, Any, Any]:
    return DatabaseStrategy(tokens, lifetime_seconds=3600)


backend = AuthenticationBackend(
    name="database", transport=BearerTransport(tokenUrl="login"), get_strategy=get_strategy
)
users = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
app = FastAPI()
app.include_router(users.get_auth_router(backend), prefix="/auth")
app.include_router(
    users.get_register_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate), prefix="/auth"
)
app.include_router(
    users.get_users_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserUpdate), prefix="/users"
)


async def log_in() -> dict[str, Any]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://old") as client:
        body = {"email": EMAIL, "password": PASSWORD}
        await client.post("/auth/register", json=body)
        form = {"username": EMAIL, "password": PASSWORD}
        token = (await client.post("/auth/login", data=form)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        status = (await client.get("/users/me", headers=headers)).status_code
    await engine.dispose()
    return {"fastapi-users": token, "status": status}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(log_in())))
