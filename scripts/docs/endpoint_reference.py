"""Generates docs/reference/endpoints.md from the OpenAPI description of the service."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import SecretStr

from api.application import create_app
from api.openapi.description import TAGS
from api.settings import ApiSettings, Settings
from authentication.mail.settings import MailSettings
from authentication.settings import AuthenticationSettings
from database.settings import DatabaseSettings
from harness.server import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference" / "endpoints.md"

_HEAD = """\
# Endpoints

Every endpoint with its callers, its status on success, and its error statuses; the form of errors
is on the page [errors](errors.md). `/docs` of a running service shows the bodies and lets you try
the endpoints; `/openapi.json` describes them for programs.

Another method is answered by 405, another path by 404. Any request can also be answered by 400 (it
is not HTTP/1.1), 408, 431, 500 or 503 (too many connections). "Session" means the access token of a
session. The scopes are those that the credential has at the moment of the request.

This page is generated from the OpenAPI description: see [CONTRIBUTING.md](../../CONTRIBUTING.md).
"""
_TAIL = """
## Not in the OpenAPI description

| path | callers | purpose |
|---|---|---|
| `GET /docs`, `/docs/static/...`, `/openapi.json` | anyone | not with `COUNTERFOIL_DOCS=off` |
| `POST`, `GET`, `DELETE /browser-session` | a page of the same origin | [log in, read, log \
out](../how-to/clients.md#a-cookie-in-place-of-tokens), with `COUNTERFOIL_BROWSER_SESSIONS=on` |
| `GET /console`, `/console/...` | see [the console](../console.md) | web pages |
| `GET /account/...` | anyone | pages that links in mails lead to, with `COUNTERFOIL_MAIL_URL` |
| `GET /metrics` | this machine, or as set | [metrics](../how-to/deployment.md#metrics-and-logs) |
| `GET /.well-known/oauth-authorization-server/{path}` | anyone | for an issuer with a path |
"""

_TITLES = {"api_keys": "API keys", "oauth": "OAuth"}
# These accept an API key syntactically but reject it, because it has no session to revoke.
_ONLY_SESSIONS = {"/logout"}


@cache
def description() -> dict[str, Any]:
    """The OpenAPI description with the default settings, regardless of the environment."""
    layers = (DatabaseSettings, AuthenticationSettings, ApiSettings)
    defaults: list[Any] = [layer.model_construct() for layer in layers]
    # Not the default, but these endpoints are to be described as well.
    mail = MailSettings.model_construct(mail_url=SecretStr("file:mail"), mail_from="x@example.org")
    return create_app(Settings(*[*defaults, mail])).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The path, the method and the description of each operation."""
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def reference() -> str:
    """The text of the page."""
    text = _HEAD
    found = list(operations())
    for tag in TAGS:
        text += f"\n## {_title(tag['name'])}\n\n{tag['description']}\n\n"
        text += "| call | purpose | callers | success | errors |\n|---|---|---|---|---|\n"
        tagged = [one for one in found if one[2]["tags"] == [tag["name"]]]
        text += "".join(dict.fromkeys(_row(*one) for one in tagged))
    return text + _TAIL


def _title(tag: str) -> str:
    return _TITLES.get(tag, tag.replace("_", " ").capitalize())


def _row(path: str, method: str, operation: dict[str, Any]) -> str:
    # Forward authentication accepts any method and answers all of them alike.
    call = f"any method `{path}`" if path.startswith("/verify") else f"`{method} {path}`"
    statuses = sorted(operation["responses"])
    success = ", ".join(status for status in statuses if status < "300")
    errors = ", ".join(status for status in statuses if status >= "300")
    queries = [
        f"`{one['name']}`" for one in operation.get("parameters", []) if one["in"] == "query"
    ]
    does = operation["summary"] + (f" (query: {', '.join(queries)})" if queries else "")
    return f"| {call} | {does} | {_who(path, operation)} | {success} | {errors} |\n"


def _who(path: str, operation: dict[str, Any]) -> str:
    accepted = operation.get("security")
    if not accepted:
        return "anyone"
    schemes = {name: scopes for each in accepted for name, scopes in each.items()}
    takes_keys = schemes.keys() != {"Password", "Bearer"} and path not in _ONLY_SESSIONS
    who = "session or API key" if takes_keys else "session"
    scopes = sorted({scope for each in schemes.values() for scope in each})
    return who + (f", scope `{' '.join(scopes)}`" if scopes else "")
