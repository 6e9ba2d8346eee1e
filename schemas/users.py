"""Bodies about accounts."""

from datetime import datetime

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StrictBool

from schemas.text import Email, LongText, Name, Password, ShortText, Username


class UserCreate(BaseModel):
    """`full_name` is accepted in place of `name`, because some tutorials use it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "ada@example.org",
                    "password": "correct horse battery staple",
                    "name": "Ada",
                    "surname": "Lovelace",
                    "username": "ada",
                }
            ]
        }
    )

    email: Email
    password: Password
    name: Name = Field(validation_alias=AliasChoices("name", "full_name"))
    surname: ShortText | None = None
    username: Username | None = None
    website: LongText | None = None


class UserUpdate(BaseModel):
    """Omitted fields do not change. A new e-mail address requires the current password."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"surname": "King", "website": "https://ada.example.org"},
                {
                    "email": "countess@example.org",
                    "current_password": "correct horse battery staple",
                },
            ]
        }
    )

    name: Name | None = None
    surname: ShortText | None = None
    username: Username | None = None
    website: LongText | None = None
    email: Email | None = None
    current_password: Password | None = None


class PasswordChange(BaseModel):
    """Revokes every other session, and every API key if `end_api_keys` is true."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "current_password": "correct horse battery staple",
                    "new_password": "a bernoulli number by engine",
                }
            ]
        }
    )

    current_password: Password
    new_password: Password
    end_api_keys: StrictBool = False


class UserRead(BaseModel):
    """An account as its owner sees it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 42,
                    "email": "ada@example.org",
                    "username": "ada",
                    "name": "Ada",
                    "surname": "Lovelace",
                    "website": "https://ada.example.org",
                    "roles": ["user"],
                    "created_at": "2026-11-21T09:30:00Z",
                    "updated_at": "2026-11-21T09:30:00Z",
                }
            ]
        }
    )

    id: int
    email: str
    username: str | None
    name: str
    surname: str | None
    website: str | None
    roles: list[str]
    created_at: datetime
    updated_at: datetime
