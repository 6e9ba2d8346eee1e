"""What the OpenAPI description says beyond what FastAPI derives by itself."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.dependencies import SCHEME_NAME
from schemas.problems import Problem

MEANINGS = {
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

TOKEN_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["password", "refresh_token"]},
                        "username": {"type": "string", "description": "E-mail or username."},
                        "password": {"type": "string", "format": "password"},
                        "refresh_token": {"type": "string"},
                        "scope": {"type": "string"},
                        "client_id": {"type": "string"},
                    },
                    "required": ["grant_type"],
                }
            }
        },
    }
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its `responses`."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {
            "description": MEANINGS.get(status, HTTPStatus(status).phrase),
            "content": content,
        }
        for status in statuses
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
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {}).update(problem.pop("$defs", {}), Problem=problem)
    for route in app.routes:
        # Plain routes, made for speed, say themselves what they do.
        description["paths"].update(getattr(route, "openapi_paths", {}))
    headers = app.state.settings.api.api_key_headers
    schemes = components.setdefault("securitySchemes", {})
    schemes["Bearer"] = {"type": "http", "scheme": "bearer"}
    for header in headers:
        schemes[header] = {"type": "apiKey", "in": "header", "name": header}
    for path in description["paths"].values():
        for method, operation in path.items():
            if method != "parameters":
                _offer_alternatives(operation, headers)
    return description


def _offer_alternatives(operation: dict[str, Any], headers: tuple[str, ...]) -> None:
    """Whatever takes the password flow's token takes the same token, or a key, sent by hand."""
    for requirement in operation.get("security", []):
        if SCHEME_NAME in requirement:
            others: list[dict[str, list[str]]] = [{name: []} for name in ("Bearer", *headers)]
            operation["security"] = [requirement, *others]
            return
