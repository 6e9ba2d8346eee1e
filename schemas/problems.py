"""The body of an error (RFC 9457)."""

from pydantic import BaseModel, ConfigDict


class FieldError(BaseModel):
    """Which field was rejected and why, without its value."""

    field: str
    message: str


class Problem(BaseModel):
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
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] | None = None


class OAuthError(BaseModel):
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
    error_description: str | None = None
