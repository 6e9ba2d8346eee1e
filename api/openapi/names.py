"""The names that the description lists: of errors, of errors of OAuth, and of audit events."""

from collections.abc import Iterator
from typing import Any

from authentication import errors
from authentication.audit import Event
from counterfoil.errors import CounterfoilError, DatabaseUnavailable

# Errors that no class stands for: those of HTTP itself, and of the service as a whole.
_OTHER_CODES = {
    "bad_request",
    "body_too_large",
    "disk_full",
    "head_too_large",
    "internal_error",
    "malformed_request",
    "method_not_allowed",
    "not_started",
    "request_timeout",
    "stopping",
    "unsupported_media_type",
}
# Never an answer: classes that only have children, and an error of a command.
_NEVER_SENT = {errors.Conflict, errors.NotEmpty}
# Only in the form of OAuth, or on pages.
_OF_OAUTH = {
    errors.AccessDenied,
    errors.AuthorizationPending,
    errors.DeviceCodeExpired,
    errors.InvalidAuthorization,
    errors.InvalidGrant,
    errors.InvalidTransaction,
    errors.InvalidUserCode,
    errors.SlowDown,
}

_OAUTH_ERRORS = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "insufficient_scope",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "second_factor_required",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
]


def add_to(schemas: dict[str, Any]) -> None:
    """Add the lists to the schemas of the components, and refer to them where they apply."""
    lists = {
        "ErrorCode": (error_codes(), "Programs must expect codes that are new, and go by status."),
        "OAuthErrorCode": (_OAUTH_ERRORS, "RFC 6749, 5.2, RFC 6750, 3.1, and RFC 8628, 3.5."),
        "EventName": (sorted(Event), "What the audit log records."),
    }
    for name, (values, description) in lists.items():
        schemas[name] = {"type": "string", "enum": values, "description": description}
    _refer(schemas, "Problem", "code", "ErrorCode")
    _refer(schemas, "OAuthError", "error", "OAuthErrorCode")
    _refer(schemas, "AuditEventRead", "event", "EventName")


def error_codes() -> list[str]:
    """Every `code` of a response, in alphabetical order."""
    found = {
        error.code for error in _tree(CounterfoilError) if error not in _NEVER_SENT | _OF_OAUTH
    }
    return sorted(found | _OTHER_CODES | {DatabaseUnavailable.code})


def _tree(root: type[CounterfoilError]) -> Iterator[type[CounterfoilError]]:
    for child in root.__subclasses__():
        yield child
        yield from _tree(child)


def _refer(schemas: dict[str, Any], model: str, field: str, name: str) -> None:
    described = schemas[model]["properties"][field]
    schemas[model]["properties"][field] = {
        "$ref": f"#/components/schemas/{name}",
        "description": described["description"],
    }
