"""The response body of `GET /users/me` of all peers, with the same fields as the product's."""

from datetime import UTC, datetime

from pydantic import BaseModel

MADE_AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


class Account(BaseModel):
    """Repeated here because peers import no code of the product. Each run compares the fields."""

    id: int
    email: str
    username: str | None = None
    name: str
    surname: str | None = None
    website: str | None = None
    roles: list[str]
    created_at: datetime
    updated_at: datetime


def account_of(user_id: int) -> Account:
    return Account(
        id=user_id,
        email=f"user{user_id}@example.org",
        name=f"User {user_id}",
        roles=["user"],
        created_at=MADE_AT,
        updated_at=MADE_AT,
    )
