"""fastapi-users with its DatabaseStrategy on asyncpg, configured as in its documentation."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTable,
)
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.peers.account import Account, account_of
from benchmarks.peers.gc_settings import tuned_lifespan

THIRTY_DAYS = 30 * 86_400


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTable[int], Base):
    id: Mapped[int] = mapped_column(primary_key=True)


class AccessToken(SQLAlchemyBaseAccessTokenTable[int], Base):
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="cascade"), index=True)


# Twenty connections are enough that 64 clients do not wait long, and few enough for two cores.
engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=20, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


CurrentSession = Annotated[AsyncSession, Depends(get_session)]


async def get_users(session: CurrentSession) -> AsyncIterator[Any]:
    yield SQLAlchemyUserDatabase(session, User)


async def get_tokens(session: CurrentSession) -> AsyncIterator[Any]:
    yield SQLAlchemyAccessTokenDatabase(session, AccessToken)


class UserManager(IntegerIDMixin, BaseUserManager[User, int]):
    pass


async def get_user_manager(users: Annotated[Any, Depends(get_users)]) -> AsyncIterator[UserManager]:
    yield UserManager(users)


def get_strategy(tokens: Annotated[Any, Depends(get_tokens)]) -> DatabaseStrategy[Any, Any, Any]:
    return DatabaseStrategy(tokens, lifetime_seconds=THIRTY_DAYS)


backend = AuthenticationBackend(
    name="database", transport=BearerTransport(tokenUrl="login"), get_strategy=get_strategy
)
current_user = FastAPIUsers[User, int](get_user_manager, [backend]).current_user(active=True)

app = FastAPI(lifespan=tuned_lifespan)


@app.get("/users/me")
async def read_me(user: Annotated[User, Depends(current_user)]) -> Account:
    account = account_of(user.id)
    account.email = user.email
    return account


async def create_tables() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(create_tables())
