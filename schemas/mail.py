"""Bodies about what is confirmed by mail: passwords that are set anew, and e-mail addresses."""

from typing import Annotated, Self

from pydantic import ConfigDict, StringConstraints, model_validator

from schemas.base import Schema
from schemas.text import Email, Password, Pasted, Printable

_TOKEN = "cfm_4wDqZ0i0nDhkP0xLZ3yBvS6tQm2cJ1rWk9uYfXaNe5o1Qz7Rb"
_TRANSACTION = "cft_9sVhE2u7kLx0PqYtR4mWc6nBzA1dJf3gKo8iXwNe5l2Hv4Tq"

Token = Annotated[str, Pasted, StringConstraints(min_length=1, max_length=200), Printable]
Code = Annotated[str, Pasted, StringConstraints(min_length=1, max_length=50), Printable]


class ForgottenPassword(Schema):
    """Whose password is forgotten."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"email": "ada@example.org"}]}
    )

    email: Email
    """The e-mail address of the account."""


class MailTransaction(Schema):
    """What the client keeps to send the code in the mail with. The link works without it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"transaction": _TRANSACTION}]})

    transaction: str
    """Belongs to the mail that was asked for. Keep it until the code is typed."""


class MailProof(Schema):
    """Either the token of the link in a mail, or the code in it with its transaction."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"token": _TOKEN},
                {"transaction": _TRANSACTION, "code": "BCDF-GH34"},
            ]
        },
    )

    token: Token | None = None
    """The token of the link."""

    transaction: Token | None = None
    """What the client got when the mail was asked for."""

    code: Code | None = None
    """The code in the mail, in any case, with or without dashes."""

    @model_validator(mode="after")
    def _reject_incomplete(self) -> Self:
        by_link = self.token is not None
        by_code = self.transaction is not None and self.code is not None
        has_part = self.transaction is not None or self.code is not None
        if by_link == by_code or (by_link and has_part):
            raise ValueError("send either token, or transaction and code")
        return self


class PasswordReset(MailProof):
    """The new password, with either the token of the link, or the code and its transaction."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"token": _TOKEN, "new_password": "a bernoulli number by engine"}]
        },
    )

    new_password: Password
    """The new password."""


class Revert(Schema):
    """The token of the link that takes a change of the e-mail address back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": _TOKEN}]})

    token: Token
    """The token of the link."""


class EmailStatus(Schema):
    """The e-mail address of an account, and which one waits to be confirmed."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "email": "ada@example.org",
                    "email_verified": True,
                    "pending_email": "countess@example.org",
                }
            ]
        },
    )

    email: str
    """The present address."""

    email_verified: bool
    """Whether it is the one that was confirmed."""

    pending_email: str | None
    """What becomes the address once a mail to it is confirmed."""
