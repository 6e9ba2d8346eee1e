"""Bodies about accounts."""

from datetime import datetime

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from schemas.text import Email, LongText, Name, Password, ShortText, Username


class UserCreate(BaseModel):
    """`full_name` is taken for `name`, as some tutorials call it."""

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
    """What is left out stays as it is. A new e-mail address needs the current password."""

    name: Name | None = None
    surname: ShortText | None = None
    username: Username | None = None
    website: LongText | None = None
    email: Email | None = None
    current_password: Password | None = None


class PasswordChange(BaseModel):
    """Both passwords. Every other session ends."""

    current_password: Password
    new_password: Password


class UserRead(BaseModel):
    """An account as its owner sees it."""

    id: int
    email: str
    username: str | None
    name: str
    surname: str | None
    website: str | None
    roles: list[str]
    created_at: datetime
    updated_at: datetime
