"""The body of an error (RFC 9457)."""

from pydantic import ConfigDict

from schemas.base import Schema


class FieldError(Schema):
    """Which field was rejected and why, without its value."""

    field: str
    """The name of the field, or of the parameter."""

    message: str
    """Why it was rejected."""


class Problem(Schema):
    """`code` is stable and meant for programs, `detail` for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unauthorized",
                    "status": 401,
                    "code": "invalid_token",
                    "detail": "The token is not valid.",
                }
            ]
        }
    )

    type: str = "about:blank"
    """Always `about:blank`: see `code`."""

    title: str
    """The meaning of the status."""

    status: int
    """The status of the response."""

    code: str
    """What went wrong, for programs."""

    detail: str
    """What went wrong, for people."""

    errors: list[FieldError] | None = None
    """The fields that were rejected, with `validation_failed`."""

    methods: list[str] | None = None
    """What can be given as a second factor, with `second_factor_required`."""

    mfa_token: str | None = None
    """What `POST /login/second-factor` takes, with `second_factor_required` at a login."""

    expires_in: int | None = None
    """For how many seconds it does."""


class OAuthError(Schema):
    """The body of an error of the OAuth endpoints (RFC 6749, 5.2)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "invalid_grant",
                    "error_description": "The user name or the password is wrong.",
                }
            ]
        }
    )

    error: str
    """What went wrong, for programs."""

    error_description: str | None = None
    """What went wrong, for people."""

    methods: list[str] | None = None
    """What can be given as a second factor, with `second_factor_required`."""

    mfa_token: str | None = None
    """What `POST /login/second-factor` takes, with `second_factor_required`."""

    expires_in: int | None = None
    """For how many seconds it does."""
