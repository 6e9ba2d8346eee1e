"""What the OpenAPI description says of forward-auth, which FastAPI cannot describe by itself."""

from typing import Any

from api.openapi.problems import MEANINGS
from counterfoil.fastapi import SCHEME_NAME

_IDENTITY = {
    "X-Auth-User": ("The id of the user, which alone says who it is.", "42"),
    "X-Auth-Email": (
        "Their e-mail address, for display: it is not verified and can change.",
        "ada@example.org",
    ),
    "X-Auth-Roles": ("Their roles, separated by commas.", "admin,user"),
    "X-Auth-Scopes": ("The scopes of the credential, separated by spaces.", "account admin"),
    "X-Auth-Session": (
        "The id of the session; empty for an API key.",
        "6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57",
    ),
    "X-Auth-Client": ("The label that the client chose; may be empty.", "Ada's%20phone"),
    "X-Auth-Time": (
        "When the user last confirmed who they are, in seconds since 1970; empty for an API key.",
        "1795302000",
    ),
    "X-Auth-Acr": ("`aal2` with a second factor, else `aal1`; empty for an API key.", "aal2"),
    "X-Auth-Amr": ("What the user gave (RFC 8176), separated by spaces.", "mfa otp pwd"),
}
_PATH = {
    "name": "path",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "Anything that the proxy appends. It is ignored.",
}
_DEMANDS = [
    {
        "name": "scope",
        "in": "query",
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "Required scopes, separated by spaces. May be repeated; all are required.",
        "example": ["orders:read"],
    },
    {
        "name": "role",
        "in": "query",
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "A required role. May be repeated; all of them are required.",
        "example": ["moderator"],
    },
    {
        "name": "fresh",
        "in": "query",
        "schema": {"type": "array", "items": {"type": "integer"}},
        "description": "How many seconds ago a session's user may have confirmed who they are.",
        "example": [300],
    },
    {
        "name": "acr",
        "in": "query",
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "`aal2` requires a session in which a second factor was given.",
        "example": ["aal1"],
    },
]


def path_items() -> dict[str, Any]:
    """The path itself, and all that is below it.

    OpenAPI has no word for "any method", so one stands for all of them.
    """
    return {
        "/verify": {"get": _operation("verify")},
        "/verify/{path}": {"get": _operation("verify_path", _PATH)},
    }


def _operation(operation_id: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["forward_auth"],
        "operationId": operation_id,
        "summary": "Check a request for a reverse proxy",
        "description": (
            "Every method is answered like GET: reverse proxies send that of the original request,"
            " or GET. Characters other than visible ASCII are percent-encoded UTF-8."
        ),
        "parameters": [*parameters, *_DEMANDS],
        "security": [{SCHEME_NAME: []}],
        "responses": {
            "200": {"description": "Allowed, on behalf of this user.", "headers": _headers()},
            "401": _rejection(401, "WWW-Authenticate", "That of RFC 6750, 3, or RFC 9470, 3."),
            "403": _rejection(403, "WWW-Authenticate", "The challenge, if a scope is missing."),
            "503": _rejection(503, "Retry-After", "Seconds."),
        },
    }


def _headers() -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string"}, "example": example}
        for name, (text, example) in _IDENTITY.items()
    }


def _rejection(status: int, header: str, text: str) -> dict[str, Any]:
    empty = {"description": "Empty.", "schema": {"type": "string", "maxLength": 0}}
    return {
        "description": MEANINGS[status].description,
        "headers": {
            **dict.fromkeys(_IDENTITY, empty),
            header: {"description": text, "schema": {"type": "string"}},
        },
    }
