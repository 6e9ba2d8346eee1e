"""What the OpenAPI description says beyond what FastAPI derives by itself."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.dependencies import SCHEME_NAME
from authentication.permissions import ACCOUNT
from schemas.oauth import Introspection
from schemas.problems import OAuthError, Problem

_MEANINGS = {
    400: "A scope that cannot be given, or more than one credential.",
    401: "No credential, or one that is not live.",
    403: "The credential does not suffice.",
    404: "There is no such thing, or it is not yours.",
    409: "It contradicts what is there.",
    413: "The body is too large.",
    422: "The request does not have the form that is needed.",
    429: "Too many attempts; see Retry-After.",
    503: "The database cannot be reached, or too much is waiting; see Retry-After.",
}

_OAUTH_MEANINGS = {
    400: "The request cannot be granted; `error` is one of the codes of RFC 6749, 5.2.",
    401: "The credential of the caller is missing or not live: `invalid_client`.",
    403: "The credential of the caller does not have the scope: `insufficient_scope`.",
    503: _MEANINGS[503],
}


def _form(required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """A form's body, which the OAuth endpoints read by themselves."""
    schema = {"type": "object", "properties": properties, "required": [required]}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


_STRING = {"type": "string"}
_HINT = {"type": "string", "description": "Not needed: a token says itself of which kind it is."}

TOKEN_FORM = _form(
    "grant_type",
    grant_type={"type": "string", "enum": ["password", "refresh_token"]},
    username={"type": "string", "description": "E-mail or username."},
    password={"type": "string", "format": "password"},
    refresh_token=_STRING,
    scope={"type": "string", "description": "Left out: all that the roles give."},
    client_id={"type": "string", "description": "A label that the client chooses."},
)
ONE_TOKEN_FORM = _form("token", token=_STRING, token_type_hint=_HINT)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its `responses`."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {
            "description": _MEANINGS.get(status, HTTPStatus(status).phrase),
            "content": content,
        }
        for status in statuses
    }


def oauth_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for an OAuth endpoint, whose errors have a form of their own."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/OAuthError"}}}
    return {
        status: {"description": _OAUTH_MEANINGS[status], "content": content} for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make this the description that the application serves."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    description = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    components = description.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, OAuthError, Introspection):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}), **{model.__name__: schema})
    headers = app.state.settings.api.api_key_headers
    schemes = components.setdefault("securitySchemes", {})
    schemes["Bearer"] = {"type": "http", "scheme": "bearer"}
    schemes["Basic"] = {"type": "http", "scheme": "basic"}
    for header in headers:
        schemes[header] = {"type": "apiKey", "in": "header", "name": header}
    for path in description["paths"].values():
        for operation in path.values():
            _offer_alternatives(operation, headers)
    description["paths"]["/introspect"] = {"post": _introspection(headers)}
    return description


def _introspection(headers: tuple[str, ...]) -> dict[str, Any]:
    """The operation of a plain route, which FastAPI does not describe."""
    answer = {"schema": {"$ref": "#/components/schemas/Introspection"}}
    responses = {
        200: {"description": "What it stands for.", "content": {"application/json": answer}},
        **oauth_problems(400, 401, 403, 503),
        **problems(413),
    }
    return {
        "tags": ["OAuth"],
        "summary": "What stands behind a token? (OAuth 2.0)",
        "description": "RFC 7662. The caller sends an API key with the scope `introspect`: as "
        "Bearer, in a header for API keys, or as the secret of HTTP Basic under any name. For a "
        "token that is unknown, expired, revoked, or a refresh token, the answer is exactly "
        '`{"active":false}`.',
        "operationId": "introspect_introspect_post",
        "security": [{name: []} for name in ("Bearer", "Basic", *headers)],
        "responses": {str(status): response for status, response in responses.items()},
        **ONE_TOKEN_FORM,
    }


def _offer_alternatives(operation: dict[str, Any], headers: tuple[str, ...]) -> None:
    """Whatever takes the password flow's token takes the same token sent by hand, or a key.

    But for what manages the account, where no key will do.
    """
    for requirement in operation.get("security", []):
        if SCHEME_NAME in requirement:
            keys = () if ACCOUNT in requirement[SCHEME_NAME] else headers
            others: list[dict[str, list[str]]] = [{name: []} for name in ("Bearer", *keys)]
            operation["security"] = [requirement, *others]
            return
