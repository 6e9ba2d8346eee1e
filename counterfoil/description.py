"""What an application's OpenAPI description, and its Authorize button, say of credentials.

FastAPI lists the bearer token by itself, wherever a route requires an identity. Beside it, each of
these routes accepts a key in a header, a token that the button gets by a login, and, where the
application takes it, the cookie of a single-page application.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from counterfoil.cookies import HEADER, NAME

_LOGIN = "Login"

COOKIE = {
    "type": "apiKey",
    "in": "cookie",
    "name": NAME,
    "description": f"A session of a browser. All but GET needs the header `{HEADER}`.",
}


def describe_security(
    app: FastAPI,
    scheme_name: str,
    *,
    api_key_headers: Iterable[str],
    token_url: str | None,
    takes_cookie: bool,
) -> None:
    """Complete the description that this application makes, each time it has made it."""
    describe = app.openapi
    others = _other_schemes(api_key_headers, token_url, takes_cookie=takes_cookie)

    def describe_completely() -> dict[str, Any]:
        description = describe()
        schemes = description.get("components", {}).get("securitySchemes", {})
        if scheme_name in schemes and schemes.keys().isdisjoint(others):
            _complete(description, schemes, scheme_name, others)
        return description

    app.openapi = describe_completely  # type: ignore[method-assign]


def _other_schemes(
    api_key_headers: Iterable[str], token_url: str | None, *, takes_cookie: bool
) -> dict[str, Any]:
    """The ways to send a credential beside the bearer token, by their names."""
    schemes: dict[str, Any] = {
        header: {"type": "apiKey", "in": "header", "name": header, "description": "An API key."}
        for header in api_key_headers
    }
    if token_url is not None:
        schemes[_LOGIN] = {
            "type": "oauth2",
            "description": "An e-mail address or a username. Leave the client fields empty.",
            "flows": {"password": {"tokenUrl": token_url}},
        }
    if takes_cookie:
        schemes["Cookie"] = COOKIE
    return schemes


def _complete(
    description: dict[str, Any], schemes: dict[str, Any], scheme_name: str, others: dict[str, Any]
) -> None:
    schemes[scheme_name]["description"] = "An access token, or an API key."
    schemes |= deepcopy(others)
    scopes: set[str] = set()
    for operation, required in _protected(description, scheme_name):
        scopes.update(required)
        operation["security"] += [{name: required} for name in others]
    if _LOGIN in others:
        flow = schemes[_LOGIN]["flows"]["password"]
        flow["scopes"] = dict.fromkeys(sorted(scopes), "")


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
