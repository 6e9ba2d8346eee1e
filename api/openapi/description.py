"""What the OpenAPI description says beyond what FastAPI derives by itself."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.openapi import forward_auth, names
from api.routing.head import without_head
from api.routing.route_group import flatten
from api.settings import ApiSettings
from authentication import permissions
from counterfoil.description import COOKIE
from counterfoil.fastapi import SCHEME_NAME
from schemas.oauth import Introspection
from schemas.problems import OAuthError, Problem
from schemas.tokens import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    DeviceCodeGrant,
    PasswordGrant,
    RefreshTokenGrant,
)

DESCRIPTION = """
Log in with `POST /login`, or on this page with the button **Authorize** and an e-mail address or a
username. Send the access token as `Authorization: Bearer cfa_...`. Send an API key in the same way,
or in a header for API keys. Once a token is revoked, the very next request with it is rejected.

Errors are `application/problem+json` (RFC 9457) with a stable `code` for programs and a `detail`
for people; errors of the OAuth endpoints have the form of RFC 6749, 5.2.
"""

TAGS = [
    {"name": "tokens", "description": "Log in, refresh, log out."},
    {"name": "users", "description": "Accounts: register, and manage your own."},
    {"name": "mail", "description": "Passwords that are set anew, and addresses, by mail."},
    {"name": "sessions", "description": "See where you are logged in, and revoke sessions."},
    {"name": "factors", "description": "What logins ask for beside the password."},
    {"name": "passkeys", "description": "Sign in by a device instead of a password."},
    {"name": "api_keys", "description": "Credentials for integrations that act for you."},
    {"name": "oauth", "description": "For OAuth clients, resource servers and holders of tokens."},
    {"name": "forward_auth", "description": "For reverse proxies, which ask about each request."},
    {"name": "clients", "description": "Registered clients, for administrators."},
    {
        "name": "administration",
        "description": "Users, roles, sessions, API keys and the audit log.",
    },
    {"name": "operations", "description": "For load balancers and operators."},
]

# The scheme by which Swagger UI's button gets a token.
_PASSWORD_FLOW = "Password"

_REFERENCE = "#/components/schemas/{model}"

# Swagger UI offers these for choice; choosing none gets all that the user's roles give.
SCOPES = {
    permissions.ACCOUNT: "Manage the account itself. Never given to an API key.",
    permissions.INTROSPECT: "Introspect the tokens of all users.",
    permissions.ADMIN: "Administer users, sessions and API keys.",
}


# The forms of the token endpoint, which are read without FastAPI.
_GRANTS = (
    PasswordGrant,
    RefreshTokenGrant,
    AuthorizationCodeGrant,
    DeviceCodeGrant,
    ClientCredentialsGrant,
)


def operation_id(route: APIRoute) -> str:
    """What generated clients call their methods: `users_read_me`, but `list_sessions`."""
    tag = str(route.tags[0]) if route.tags else ""
    names_it_already = tag.removesuffix("s") in route.name
    return route.name if names_it_already else f"{tag}_{route.name}"


def install(app: FastAPI) -> None:
    """Make this the description that the application serves."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    routes = list(flatten(app.routes))
    for route in routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.operation_id or operation_id(route)
    description = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        license_info=app.license_info,
        tags=app.openapi_tags,
        routes=list(without_head(routes)),
    )
    description["paths"].update(forward_auth.path_items())
    components = description.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, OAuthError, Introspection, *_GRANTS):
        schema = model.model_json_schema(ref_template=_REFERENCE)
        schemas.update(schema.pop("$defs", {}), **{model.__name__: schema})
        for described in schema["properties"].values():
            _drop_empty_default(described)
    names.add_to(schemas)
    settings: ApiSettings = app.state.settings.api
    headers = settings.api_key_headers
    demanded: set[str] = set()
    for operation in _operations(description):
        _drop_undeclared_422(operation)
        demanded.update(_offer_alternatives(operation, headers))
    # The scopes of your own routes are listed beside ours.
    scopes = {**SCOPES, **dict.fromkeys(sorted(demanded - SCOPES.keys()), "")}
    schemes = components.setdefault("securitySchemes", {})
    schemes.update(_schemes(scopes, headers))
    if settings.browser_sessions:
        schemes["Cookie"] = COOKIE
        _offer_cookie(description)
    return description


def below(prefix: str, description: dict[str, Any]) -> dict[str, Any]:
    """The description for clients that reach the service below this path."""
    if not prefix:
        return description
    description = deepcopy(description)
    description["servers"] = [{"url": prefix}]
    scheme = description["components"]["securitySchemes"][_PASSWORD_FLOW]
    # Swagger UI resolves it against the URL of the server, which does not end with a slash.
    scheme["flows"]["password"]["tokenUrl"] = f"{prefix}/token"
    return description


def _drop_undeclared_422(operation: dict[str, Any]) -> None:
    """FastAPI adds a 422 of its own form, which we never send, wherever a route has parameters."""
    content = operation.get("responses", {}).get("422", {}).get("content", {})
    if "application/json" in content:
        del operation["responses"]["422"]


def _drop_empty_default(described: dict[str, Any]) -> None:
    """Pydantic writes null for a property that may be left out, which null does not say."""
    if described.get("default", ...) is None:
        del described["default"]


def _schemes(scopes: dict[str, str], headers: tuple[str, ...]) -> dict[str, Any]:
    """The ways to send a credential."""
    schemes: dict[str, Any] = {
        _PASSWORD_FLOW: {
            "type": "oauth2",
            "description": "An e-mail address or a username. Leave the client fields empty.",
            "flows": {"password": {"tokenUrl": "token", "scopes": scopes}},
        },
        SCHEME_NAME: {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token, or an API key.",
        },
        "Basic": {
            "type": "http",
            "scheme": "basic",
            "description": "An API key as the password, with any user name.",
        },
    }
    for header in headers:
        schemes[header] = {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": "An API key.",
        }
    return schemes


def _offer_alternatives(operation: dict[str, Any], headers: tuple[str, ...]) -> list[str]:
    """Whatever takes a bearer token offers the password flow to get one, and a key in a header.

    Returns the scopes that the operation demands.
    """
    security = operation.get("security", [])
    for requirement in security:
        if SCHEME_NAME in requirement:
            more = [other for other in security if other is not requirement]
            scopes: list[str] = requirement[SCHEME_NAME]
            # An API key never has this scope, so it would be rejected.
            keys = () if permissions.ACCOUNT in scopes else headers
            others: list[dict[str, list[str]]] = [{name: scopes} for name in keys]
            operation["security"] = [{_PASSWORD_FLOW: scopes}, requirement, *others, *more]
            return scopes
    return []


def _offer_cookie(description: dict[str, Any]) -> None:
    """Whatever takes the access token of a session takes the cookie, but for OAuth's endpoints."""
    for operation in _operations(description):
        for requirement in operation.get("security", []):
            if SCHEME_NAME in requirement and "oauth" not in operation["tags"]:
                cookie = {"Cookie": requirement[SCHEME_NAME]}
                operation["security"] = [*operation["security"], cookie]


def _operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in description["paths"].values():
        yield from path.values()
