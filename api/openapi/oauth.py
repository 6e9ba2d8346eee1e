"""What the OpenAPI description says of the OAuth endpoints, which read and answer by themselves."""

from typing import Any, NamedTuple

from authentication.permissions import INTROSPECT
from counterfoil.errors import DatabaseUnavailable
from counterfoil.fastapi import SCHEME_NAME


class _Meaning(NamedTuple):
    """What a status means there, with an example of the body."""

    description: str
    error: str
    error_description: str


_MEANINGS = {
    400: _Meaning(
        "The request is rejected; `error` gives the reason (RFC 6749, 5.2).",
        "invalid_request",
        "The parameter token is missing.",
    ),
    401: _Meaning(
        "The caller or the client does not prove who it is.",
        "invalid_client",
        "This needs an API key that is live, with the scope introspect.",
    ),
    403: _Meaning(
        "The caller's credential does not have the scope.",
        "insufficient_scope",
        "This needs the scope introspect.",
    ),
    408: _Meaning(
        "The form took too long to arrive.",
        "invalid_request",
        "The body took too long to arrive.",
    ),
    413: _Meaning(
        "The form is too large.",
        "invalid_request",
        "The body is larger than this service takes.",
    ),
    415: _Meaning(
        "The body is no form, or is compressed.",
        "invalid_request",
        "The body must be application/x-www-form-urlencoded, and not compressed.",
    ),
    429: _Meaning(
        "Too many unknown tokens; see Retry-After.",
        "temporarily_unavailable",
        "Too many attempts. Try again later.",
    ),
    503: _Meaning(
        "The service is temporarily unavailable; see Retry-After.",
        "temporarily_unavailable",
        DatabaseUnavailable.detail,
    ),
}
_HEADERS = {
    401: {"WWW-Authenticate": "The challenge for the scheme that was used."},
    403: {"WWW-Authenticate": "The challenge of RFC 6750, 3."},
    429: {"Retry-After": "Seconds."},
    503: {"Retry-After": "Seconds."},
}


def _token_form(title: str, **more: dict[str, Any]) -> dict[str, Any]:
    """The body of a request about one token, with more parameters."""
    properties = {
        "token": {
            "type": "string",
            "description": "An access token, a refresh token or an API key.",
        },
        "token_type_hint": {
            "type": "string",
            "description": "Not needed: the prefix of a token shows its type.",
        },
        **more,
    }
    form = {
        "schema": {
            "title": title,
            "type": "object",
            "properties": properties,
            "required": ["token"],
        },
        "example": {"token": "cfa_3nq5RZ..."},
    }
    content = {"application/x-www-form-urlencoded": form}
    return {"requestBody": {"required": True, "content": content}}


ONE_TOKEN_FORM = _token_form("TokenForm")


DEVICE_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "title": "DeviceAuthorizationRequest",
                    "type": "object",
                    "properties": {
                        "client_id": {
                            "type": "string",
                            "description": "The client, unless it authenticates with HTTP Basic.",
                        },
                        "client_secret": {
                            "type": "string",
                            "description": "Its secret, if it has one.",
                        },
                        "scope": {
                            "type": "string",
                            "description": "Scopes, separated by spaces. Default: all that are "
                            "registered for the client.",
                        },
                    },
                },
                "example": {"client_id": "calendar-cli"},
            }
        },
    }
}


def oauth_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an OAuth endpoint, for its `responses`."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    description, error, error_description = _MEANINGS[status]
    schema = {"$ref": "#/components/schemas/OAuthError"}
    example = {"error": error, "error_description": error_description}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.get(status, {}).items()
        },
    }


INTROSPECTION: dict[str, Any] = {
    "description": "RFC 7662. The caller sends an API key with the scope `introspect`: as Bearer, "
    "in a header for API keys, or as the secret of HTTP Basic with any user name. For an unknown, "
    'expired or revoked token, and for every refresh token, the answer is `{"active":false}`.',
    "security": [{SCHEME_NAME: [INTROSPECT]}, {"Basic": [INTROSPECT]}],
    **_token_form(
        "IntrospectionForm",
        session_kind={
            "type": "string",
            "enum": ["api", "browser"],
            "default": "api",
            "description": "`browser` if the token was in the cookie of a single-page application: "
            "any other is inactive then, and such a one is without. Check for forgery before.",
        },
    ),
}

TOKEN_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "title": "TokenRequest",
                    "oneOf": [
                        {"$ref": "#/components/schemas/PasswordGrant"},
                        {"$ref": "#/components/schemas/RefreshTokenGrant"},
                        {"$ref": "#/components/schemas/AuthorizationCodeGrant"},
                        {"$ref": "#/components/schemas/DeviceCodeGrant"},
                        {"$ref": "#/components/schemas/ClientCredentialsGrant"},
                    ],
                },
                "examples": {
                    "password": {
                        "summary": "Log in",
                        "value": {
                            "grant_type": "password",
                            "username": "ada@example.org",
                            "password": "correct horse battery staple",
                        },
                    },
                    "refresh_token": {
                        "summary": "Refresh",
                        "value": {"grant_type": "refresh_token", "refresh_token": "cfr_9bD1xw..."},
                    },
                },
            }
        },
    }
}
