"""What an application's OpenAPI description, and its Authorize button, say of credentials.

FastAPI lists the bearer token by itself, wherever a route requires an identity. Beside it, each of
these routes accepts a key in a header, and a token that the button gets by a login.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI

_LOGIN = "Login"


def describe_security(
    app: FastAPI, scheme_name: str, *, api_key_headers: Iterable[str], token_url: str | None
) -> None:
    """Complete the description that this application makes, each time it has made it."""
    describe = app.openapi
    headers = tuple(api_key_headers)

    def describe_completely() -> dict[str, Any]:
        description = describe()
        schemes = description.get("components", {}).get("securitySchemes", {})
        if scheme_name in schemes and schemes.keys().isdisjoint({_LOGIN, *headers}):
            _complete(description, schemes, scheme_name, headers, token_url)
        return description

    app.openapi = describe_completely  # type: ignore[method-assign]


def _complete(
    description: dict[str, Any],
    schemes: dict[str, Any],
    scheme_name: str,
    headers: tuple[str, ...],
    token_url: str | None,
) -> None:
    schemes[scheme_name]["description"] = "An access token, or an API key."
    scopes: set[str] = set()
    for operation, required in _protected(description, scheme_name):
        scopes.update(required)
        others = [{header: required} for header in headers]
        if token_url is not None:
            others.append({_LOGIN: required})
        operation["security"] += others
    for header in headers:
        schemes[header] = {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": "An API key.",
        }
    if token_url is not None:
        flow = {"tokenUrl": token_url, "scopes": dict.fromkeys(sorted(scopes), "")}
        schemes[_LOGIN] = {
            "type": "oauth2",
            "description": "An e-mail address or a username. Leave the client fields empty.",
            "flows": {"password": flow},
        }


def _protected(
    description: dict[str, Any], scheme_name: str
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The operations that require an identity, each with the scopes that it requires."""
    for path in description.get("paths", {}).values():
        for operation in path.values():
            for requirement in operation.get("security", ()) if isinstance(operation, dict) else ():
                if scheme_name in requirement:
                    yield operation, requirement[scheme_name]
                    break
